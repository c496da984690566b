"""What all clients share: the Worker, the upstream, the truth, the faults, the findings."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from threading import Event, Lock, RLock
from urllib.parse import urlencode

from chaos.faults import Windows
from chaos.ground import Ground, now_ms
from chaos.oracle import Truth
from chaos.profiles import TIMEOUT_MS, Profile
from chaos.record import Record
from chaos.rules import Reply, judge_problem
from chaos.runtime import Runtime
from chaos.sightings import Memory
from devtools.servers import HOST
from fakes.upstream import FakeUpstream

# What an answer may take beyond its time limit, on a machine that does much else.
MARGIN_MS = 7_000
MAINTENANCE_MS = 60_000
RESET = struct.pack("ii", 1, 0)
# How long a fetch may go on whose client has left.
LEFT_MS = TIMEOUT_MS

Parameters = Sequence[tuple[str, object]]
DEATH_S = 0.5
NO_ANSWER = 0
CUT = -1
SERVER_ERROR = 500
BAD_REQUEST = 400
# What each kind of window explains.
EXPLAINED: Mapping[str, frozenset[int]] = {
    "upstream": frozenset({502, 503, 504, CUT}),
    "database": frozenset({503, 504, CUT}),
    "objects": frozenset({CUT}),
    "worker": frozenset({NO_ANSWER, CUT, 500, 502, 503, 504}),
}


class Flights:
    """The requests that are under way: one may get what another began to fetch."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._began: dict[object, int] = {}
        self._left: list[tuple[int, int]] = []

    @contextmanager
    def flight(self) -> Iterator[tuple[int, int]]:
        """Be under way; gives the present moment, and when the oldest of all under way began."""
        token, began_ms = object(), now_ms()
        with self._lock:
            self._left = [each for each in self._left if each[1] > began_ms]
            others = [*self._began.values(), *(each[0] for each in self._left)]
            self._began[token] = began_ms
        try:
            yield began_ms, min([began_ms, *others])
        finally:
            with self._lock:
                del self._began[token]

    def leave(self, began_ms: int) -> None:
        """Note a request whose client has left, and whose fetch may go on."""
        with self._lock:
            self._left.append((began_ms, now_ms() + LEFT_MS))


@dataclass
class Scene:
    """
    See the module.

    Attributes:
        profile: Of the Worker that runs now.
        gate: Open while a Worker runs.
        control: Held by who changes the Worker's state behind its back, or kills it.
        damaged: Objects that were lost or spoilt, and what rows were stored with.
        cuts: Answers that were cut, which only lost objects explain.
        unstored_ms: What was shown by then may not have been stored: the database was down, or
            workerd was killed.
        evidence: Folder for the answers that were wrong; None: they are not kept.
    """

    runtime: Runtime
    upstream: FakeUpstream
    truth: Truth
    ground: Ground
    windows: Windows
    record: Record
    profile: Profile
    gate: Event = field(default_factory=Event)
    control: AbstractContextManager[bool] = field(default_factory=RLock)
    flights: Flights = field(default_factory=Flights)
    damaged: set[str] = field(default_factory=set)
    cuts: int = 0
    unstored_ms: int = 0
    evidence: Path | None = None

    def send(
        self,
        method: str,
        path: str,
        params: Parameters = (),
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_gzip: bool = True,
        timeout_ms: int = TIMEOUT_MS,
    ) -> tuple[Reply, int]:
        """
        Send one request; return the answer, and how long it took in ms.

        The status is NO_ANSWER when none came in time, CUT when it ended before its end.
        """
        sent = {"Accept-Encoding": "gzip" if is_gzip else "identity", **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        target = f"{path}?{urlencode(params)}" if params else path
        began_ms = now_ms()
        seconds = (timeout_ms + MARGIN_MS) / 1000
        connection = http.client.HTTPConnection(HOST, self.runtime.port, timeout=seconds)
        reply = Reply(NO_ANSWER, {}, b"")
        try:
            connection.request(method, target, body=body, headers=sent)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.headers.items()}
            reply = Reply(CUT, found, b"")
            reply = Reply(response.status, found, _unpacked(response.read(), found))
        except (OSError, http.client.HTTPException, zlib.error, EOFError) as error:
            reply = Reply(reply.status, reply.headers, repr(error).encode())
        finally:
            connection.close()
        took_ms = max(0, now_ms() - began_ms)
        cache_status = reply.headers.get("x-cache-status", "")
        self.record.answered(reply.status, cache_status, took_ms / 1000)
        return reply, took_ms

    def send_and_leave(self, target: str, wait_s: float) -> None:
        """Send a GET, take what comes within *wait_s*, reset the connection."""
        with socket.create_connection((HOST, self.runtime.port), timeout=5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            connection.settimeout(max(wait_s, 0.001))
            try:
                connection.recv(2000)
            except TimeoutError:
                return

    def maintain(self, number: int) -> dict[str, int]:
        """Run the maintenance; return how much each step has changed, nothing where it failed."""
        began_ms, path = now_ms(), "/api/maintenance/run"
        reply, _ = self.send("POST", path, timeout_ms=MAINTENANCE_MS)
        if reply.status != HTTPStatus.OK:
            self.check_refusal(number, f"POST {path}", reply, site=None, since_ms=began_ms)
            return {}
        changed = {each["name"]: each["changed"] or 0 for each in json.loads(reply.body)["steps"]}
        self.record.maintained(changed)
        return changed

    def keep_evidence(self, number: int, request: str, began_ms: int, reply: Reply) -> None:
        """Keep an answer that was wrong, where anything is kept."""
        if self.evidence is None:
            return
        headers = "".join(f"{name}: {value}\n" for name, value in reply.headers.items())
        text = f"{began_ms}: {request}\n{reply.status}\n{headers}\n".encode()
        (self.evidence / f"answer-{number:06}.txt").write_bytes(text + reply.body)

    def is_dead(self) -> bool:
        """Return whether workerd has died by itself, which shows a little later."""
        time.sleep(DEATH_S)
        return not self.runtime.is_alive()

    def explains(self, status: int, site: str | None, since_ms: int) -> bool:
        """Return whether a fault of these moments explains a status."""
        kinds = [kind for kind, statuses in EXPLAINED.items() if status in statuses]
        return self._explains(kinds, site, since_ms)

    def _explains(self, kinds: Sequence[str], site: str | None, since_ms: int) -> bool:
        until_ms = now_ms()
        return any(self.windows.explaining(kind, site, since_ms, until_ms) for kind in kinds)

    def check_refusal(
        self,
        number: int,
        request: str,
        reply: Reply,
        *,
        site: str | None,
        since_ms: int,
        deserved: frozenset[int] = frozenset(),
    ) -> None:
        """Judge an answer that is not what was asked for; see rules.judge_problem."""
        if reply.status >= BAD_REQUEST:
            for rule, text in judge_problem(reply):
                self.record.note(number, rule, request, text)
        if reply.status in deserved:
            return
        if self.explains(reply.status, site, since_ms):
            if reply.status == CUT and not self._explains(("upstream", "worker"), site, since_ms):
                self.cuts += 1
            return
        rule = "unexplained" if reply.status >= SERVER_ERROR else "undeserved"
        rule = {NO_ANSWER: "unanswered", CUT: "cut"}.get(reply.status, rule)
        text = reply.body.decode(errors="replace")[:400]
        self.record.note(number, rule, request, f"status {reply.status}: {text}")


@dataclass
class Visitor:
    """One client, which sends a request after the other, and what it has seen."""

    memory: Memory = field(default_factory=Memory)
    unstored_ms: int = 0

    def recall(self, scene: Scene, began_ms: int) -> Memory:
        """
        Return what an answer to a request that began at a moment is to be held against.

        What may not have been stored may well be followed by an older copy.
        """
        if self.unstored_ms != scene.unstored_ms:
            self.unstored_ms, self.memory = scene.unstored_ms, Memory()
        return self.memory if began_ms > scene.unstored_ms else Memory()


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a body without its compression; a gzip member must be whole."""
    if headers.get("content-encoding") != "gzip" or not body:
        return body
    result = bytearray()
    while body:
        unpacker = zlib.decompressobj(wbits=31)
        result += unpacker.decompress(body)
        if not unpacker.eof:
            raise EOFError("gzip ends before its end")
        body = unpacker.unused_data
    return bytes(result)
