"""
Requests that no sane client sends, by the thousand, and what must hold for every answer.

The same seed gives the same requests. Separate from the tests because scripts/fuzz.py sends many
more of them than the tests have time for.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

START_MS = 1_767_225_600_000
DAY_MS = 86_400_000
# A request that takes longer counts as one that hangs.
HANG_S = 30.0
# Wrong answers kept and shown; more would say nothing new.
SHOWN_MAX = 20
PROBLEM_TYPE = "application/problem+json"
# Upstream failures, which only the site that is made to fail may cause.
UPSTREAM_STATUSES = frozenset({502, 504})
# Others the runtime itself refuses with 501.
METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "PROPFIND", "LOCK", "TRACE")

TEXTS = (
    "", " ", "\0", "\n", "\r\nX-Injected: 1", "\x1b[31mred", '\n{"event":"request"}', "\x9b31m",
    "'", "''; DROP TABLE api_keys; --", "' OR '1'='1", '"', "`", "%", "%zz", "%00", "a,b", ",",
    "${jndi:ldap://x}", "{{7*7}}", "<script>alert(1)</script>", "=1+1", "@SUM(1)", "+1", "-1",
    "..", ".", "../../etc/passwd", "%2e%2e%2f", "..\\..", "/", "//", "a/b", "timeseries/../x",
    "__proto__", "constructor", "toString", "null", "true", "undefined", "NaN", "Infinity", "[]",
    "{}", "*", "0", "-0", "00", "1e309", "0x10", "1.5", "1_000", "١٢٣", "9" * 19, "9" * 400,
    str(2**53), str(2**63), str(-(2**63)), str(2**64), "é" * 600, "😀" * 130, "a" * 129, "a" * 5000,
    "e\u0301", "\u202egnp.exe", "\ufeff", "\u2028", "2025-13-01", "2025-02-30T00:00:00Z",
    "2025-01-01T24:00:00Z", "2025-01-01T00:00:60Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z", "2025-01-01T00:00:00+99:99", "2025-01-01T00:00:00 02:00",
    "1735689600000.5", "job_", "job_0123456789abcdef", "bv_x", "W/\"x\"", "\"" * 50,
)  # fmt: skip
BYTES = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80b", b"\xe2\x82")
JSON_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, 10**400, [], {}, [[]], [None], [1], [{}], [""], {"a": 1},
    {"__proto__": 1}, ["a"] * 6000, ["a" * 513], [[["x"]]],
)  # fmt: skip
RAW_BODIES = (
    b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"{}", b"{}}", b'{"site":}', b"{'a':1}", b"\xff",
    b'{"a":NaN}', b'{"a":1e999999}', b'{"site":"\\ud800"}', b'{"site":"a","site":"b"}',
    b"\xef\xbb\xbf{}", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", b"[" * 100_000, b'{"a":' * 5000,
    b'{"points":[' + b"[]," * 30_000 + b"[]]}", b'{"a":' + b"9" * 100_000 + b"}",
    b'"' + b"\\" * 200_000, b'{"a":"' + b"x" * 1_048_576 + b'"}', b"site=a&points=b",
)  # fmt: skip
PARAMETERS = (
    "site", "points", "point", "start_time", "end_time", "route", "format", "priority", "timeout",
    "max_points", "user_id", "status", "limit", "cursor", "prefix", "search", "page", "per_page",
    "interval", "aggregate", "tz", "__proto__", "", "SITE", "points[]",
)  # fmt: skip
PATHS = (
    "/api/timeseries", "/api/jobs", "/api/jobs/{}", "/api/jobs/{}/data", "/api/jobs/{}/events",
    "/api/stats", "/api/health", "/openapi.json", "/api/queue/dlq/stats", "/api/queue/dlq/failures",
    "/api/queue/dlq/failures/{}/retry", "/api/cache/objects", "/api/cache", "/api/maintenance/run",
    "/api/sites", "/api/sites/{}/points",
)  # fmt: skip
ODD_PATHS = (
    "/api", "/api/", "/api/timeseries/", "/api/timeseriesXYZ", "/api//timeseries", "//api/jobs",
    "/API/timeseries", "/api/../api/health", "/api/%2e%2e/x", "/api/timeseries%00", "/api/{}",
    "/api/{}/{}", "/api/jobs/{}/{}", "/api/timeseries;x=1", "/api/" + "a" * 7000, "/%", "/{}",
)  # fmt: skip
HEADERS = (
    "Accept", "Accept-Encoding", "If-None-Match", "Origin", "Authorization", "X-API-Key",
    "Content-Type", "Content-Encoding", "Cookie", "Range", "If-Modified-Since", "X-Forwarded-For",
    "X-Forwarded-Host", "CF-Connecting-IP", "X-Request-Id", "X-HTTP-Method-Override", "User-Agent",
    "Access-Control-Request-Method", "Access-Control-Request-Headers", "Forwarded", "Referer",
)  # fmt: skip
HEADER_VALUES = (
    "", "*", "*/*;q=0.0000", "a/b;q=2", ";;;,,,", "gzip;q=0", "gzip, br;q=1.0, *;q=0", "text/csv",
    "application/json", "application/json; charset=utf-16", "multipart/form-data", "gzip", "br",
    '"x"', 'W/"x", "y"', '"' * 300, "null", "https://evil.example", "file://", "Bearer", "Bearer x",
    "Basic eDp5", "bytes=0-0", "a" * 6000, ",".join(["text/html"] * 500), "\xff\xfe", "\x0b",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """
    One request.

    Attributes:
        may_fail_upstream: Whether it may name the site whose upstream is made to fail.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None
    may_fail_upstream: bool

    def __str__(self) -> str:
        """Return it as a finding shows it."""
        body = b"" if self.body is None else self.body[:120]
        return f"{self.method} {self.target[:300]} {dict(self.headers)!r:.300} {body!r}"


@dataclass(slots=True)
class Findings:
    """
    What came of it.

    Attributes:
        statuses: How often each status came.
        wrong: Answers that must not be, the first of them.
        slowest_s: The longest that an answer took.
        heap_bytes: Size of Python's memory at the first and the latest answer that told it.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    heap_bytes: tuple[int, int] = (0, 0)

    @property
    def heap_growth_bytes(self) -> int:
        """How much Python's memory has grown."""
        return self.heap_bytes[1] - self.heap_bytes[0]


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What there is to ask for.

    Attributes:
        site, points: A site that works.
        faulty_site: A site whose upstream is made to fail.
    """

    site: str
    points: list[str]
    faulty_site: str


class Generator:
    """
    Makes requests.

    Args:
        seed: The same gives the same requests.
    """

    def __init__(self, seed: str, ground: Ground) -> None:
        self._random = random.Random(seed)
        self._ground = ground

    def request(self) -> Sent:
        """Return the next request."""
        make: Callable[[], Sent] = self._random.choices(
            [self._query, self._body, self._route, self._odd_path, self._flood],
            [45, 25, 20, 8, 2],
        )[0]
        return make()

    def _query(self) -> Sent:
        members = self._members()
        for _ in range(self._random.choice((0, 1, 1, 1, 2, 3))):
            members.append((self._random.choice(PARAMETERS), self._text()))
        if self._random.random() < 0.3:
            members.pop(self._random.randrange(len(members)))
        self._random.shuffle(members)
        query = "&".join(f"{name}={self._encoded(value)}" for name, value in members)
        return self._sent(self._method("GET"), f"/api/timeseries?{query}")

    def _body(self) -> Sent:
        if self._random.random() < 0.4:
            body = self._random.choice(RAW_BODIES)
        else:
            members: dict[str, object] = dict(self._members())
            members["points"] = [members["points"]]
            for _ in range(self._random.choice((0, 1, 1, 2))):
                members[self._random.choice(PARAMETERS)] = self._random.choice(
                    (*JSON_VALUES, *TEXTS)
                )
            body = json.dumps(members, ensure_ascii=self._random.random() < 0.5).encode(
                "utf-8", "replace"
            )
            if self._random.random() < 0.1:
                cut = self._random.randrange(len(body))
                body = body[:cut] + self._random.choice(BYTES) + body[cut + 1 :]
        headers = {"Content-Type": "application/json"}
        if self._random.random() < 0.15:
            headers["Content-Type"] = self._random.choice(HEADER_VALUES)
        if self._random.random() < 0.05:
            headers["Content-Encoding"] = self._random.choice(("gzip", "br", "identity", "x" * 99))
        return self._sent("POST", "/api/timeseries", body, headers)

    def _route(self) -> Sent:
        path = self._random.choice(PATHS).replace("{}", self._encoded(self._text()))
        count = self._random.choice((0, 0, 1, 2, 5))
        query = "&".join(
            f"{self._random.choice(PARAMETERS)}={self._encoded(self._text())}" for _ in range(count)
        )
        body = self._random.choice(RAW_BODIES[:12]) if self._random.random() < 0.2 else None
        return self._sent(self._method("GET"), f"{path}?{query}" if query else path, body)

    def _odd_path(self) -> Sent:
        path = self._random.choice(ODD_PATHS)
        while "{}" in path:
            path = path.replace("{}", self._encoded(self._text()), 1)
        return self._sent(self._method("GET"), path)

    def _flood(self) -> Sent:
        """Return a request that is too long, in one of several ways."""
        query = self._random.choice(
            (
                "a&" * 20_000,
                "point=x&" * 6000,
                "points=" + ",".join(f"p{number}" for number in range(6000)),
                "site=" + "a" * 15_000,
                "points=" + "%F0%9F%98%80" * 1000,
                "&" * 15_000,
                "start_time=" + "1" * 15_000,
            )
        )
        return self._sent("GET", f"/api/timeseries?{query}")

    def _members(self) -> list[tuple[str, object]]:
        """Return the parameters of a valid question; it is small, direct or cached or a job."""
        ground, chance = self._ground, self._random
        site = ground.faulty_site if chance.random() < 0.05 else ground.site
        start_ms = START_MS + chance.randrange(4) * DAY_MS
        members: list[tuple[str, object]] = [
            ("site", site),
            ("points", chance.choice(ground.points)),
            ("start_time", start_ms),
            ("end_time", start_ms + chance.choice((DAY_MS // 4, DAY_MS))),
        ]
        if chance.random() < 0.5:
            routes = ("direct",) * 10 + ("cached",) * 10 + ("queued",)
            members.append(("route", chance.choice(routes)))
        if chance.random() < 0.3:
            members.append(("format", chance.choice(("json", "csv", "ndjson", "msgpack"))))
        if chance.random() < 0.2:
            members.append(("max_points", chance.choice((2, 10, 100_000))))
        elif chance.random() < 0.2:
            members.append(("interval", chance.choice(("1s", "7m", "1h", "1d", "1mo", "20y"))))
            members.append(("aggregate", chance.choice(("mean", "max,min", "twa,delta,count"))))
            members.append(("tz", chance.choice(("UTC", "Asia/Kolkata", "America/Havana"))))
        return members

    def _text(self) -> object:
        chance = self._random.random()
        if chance < 0.1:
            return self._random.choice(BYTES)
        if chance < 0.25:
            size = self._random.choice((1, 2, 8, 40))
            return "".join(chr(self._random.choice(_CODE_POINTS)) for _ in range(size))
        return self._random.choice(TEXTS)

    def _encoded(self, value: object) -> str:
        """Return a value as a part of a URL, sometimes encoded more or less than it has to be."""
        if isinstance(value, bytes):
            return quote_from_bytes(value, safe="")
        text = str(value).encode("utf-8", "replace")
        if self._random.random() < 0.1:
            return "".join(f"%{byte:02x}" for byte in text)
        return quote_from_bytes(text, safe=self._random.choice(("", "%/,:+;@=")))

    def _method(self, usual: str) -> str:
        return self._random.choice(METHODS) if self._random.random() < 0.15 else usual

    def _sent(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Sent:
        """Return the request with some headers on top."""
        every = {"Accept-Encoding": self._random.choice(("gzip", "identity"))} | dict(headers or {})
        for _ in range(self._random.choice((0, 0, 0, 1, 2, 4))):
            every[self._random.choice(HEADERS)] = self._random.choice(HEADER_VALUES)
        if self._random.random() < 0.01:
            every |= {f"X-{number}": "x" * 50 for number in range(80)}
        told = self._ground.faulty_site.encode()
        return Sent(method, target, every, body, told in unquote_to_bytes(target) + (body or b""))


_CODE_POINTS = [
    *range(0xA0), 0xAD, 0x130, 0x200B, 0x202E, 0xFEFF, 0xFFFD, 0x1F600, 0x10FFFF,
]  # fmt: skip


def send_all(
    url: str, ground: Ground, *, count: int, seed: int, threads: int = 4, key: str | None = None
) -> Findings:
    """
    Send requests side by side and judge every answer.

    Args:
        url: http://HOST:PORT of the Worker; with DEV_METRICS=1 it tells its heap's size.
        ground: What there is to ask for.
        count: Of all requests.
        seed: The same sends the same requests, as long as *threads* is the same.
        threads: That send at once.
        key: Sent with every request that has none of its own.
    """
    findings, lock = Findings(), threading.Lock()
    with ThreadPoolExecutor(threads) as pool:
        shares = [
            pool.submit(
                _send_share,
                url=url,
                generator=Generator(f"{seed}/{number}/{threads}", ground),
                count=count // threads + (number < count % threads),
                findings=findings,
                lock=lock,
                key=key,
            )
            for number in range(threads)
        ]
    for share in shares:
        share.result()
    return findings


def _send_share(
    *,
    url: str,
    generator: Generator,
    count: int,
    findings: Findings,
    lock: threading.Lock,
    key: str | None,
) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=HANG_S)
    try:
        for _ in range(count):
            sent = generator.request()
            began = time.monotonic()
            status, headers, body = _answer(connection, sent, key)
            took_s = time.monotonic() - began
            wrong = judge(sent, status, headers, body)
            with lock:
                findings.statuses[status] += 1
                findings.slowest_s = max(findings.slowest_s, took_s)
                if wrong and len(findings.wrong) < SHOWN_MAX:
                    findings.wrong.append(f"{wrong}: {sent}")
                if "x-heap-bytes" in headers:
                    heap = int(headers["x-heap-bytes"])
                    findings.heap_bytes = (findings.heap_bytes[0] or heap, heap)
    finally:
        connection.close()


def _answer(
    connection: http.client.HTTPConnection, sent: Sent, key: str | None
) -> tuple[int, dict[str, str], bytes]:
    """Return the answer; status 0 for none."""
    try:
        is_reused = connection.sock is not None
        try:
            return _exchange(connection, sent, key)
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            # After a body that nobody read the server closes, and a client finds out when it sends.
            connection.close()
            if not is_reused:
                raise
            return _exchange(connection, sent, key)
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        return 0, {}, repr(error).encode()


def _exchange(
    connection: http.client.HTTPConnection, sent: Sent, key: str | None
) -> tuple[int, dict[str, str], bytes]:
    headers = dict(sent.headers)
    if key is not None and not {"Authorization", "X-API-Key"} & headers.keys():
        headers["X-API-Key"] = key
    connection.request(
        sent.method, sent.target, sent.body, {n: v.encode("latin-1") for n, v in headers.items()}
    )
    answer = connection.getresponse()
    body = answer.read()
    return answer.status, {n.lower(): v for n, v in answer.headers.items()}, body


def judge(sent: Sent, status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """Return what is wrong with an answer, or None."""
    if status == 0:
        return f"no answer ({body.decode()})"
    is_hasty = b"timeout" in unquote_to_bytes(sent.target) + (sent.body or b"")
    if status == 504 and is_hasty:
        # Drawn at random, a time-out may be too short for any answer.
        return None
    if status >= 500 and not (status in UPSTREAM_STATUSES and sent.may_fail_upstream):
        return f"status {status} {body[:300]!r}"
    target = urlsplit(f"http://x{sent.target}").path
    if not (target.startswith("/api/") or target == "/openapi.json"):
        return None
    if "x-injected" in headers:
        return "a header was injected"
    if "x-request-id" not in headers or headers.get("x-content-type-options") != "nosniff":
        return f"headers missing: {dict(headers)}"
    if status >= 400 and sent.method != "HEAD":
        return _judge_problem(status, headers, body)
    return None


def _judge_problem(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    if headers.get("content-type") != PROBLEM_TYPE:
        return f"status {status} is no problem document: {body[:200]!r}"
    document: Any = json.loads(body)
    if document["requestId"] != headers["x-request-id"] or "Traceback" in document["detail"]:
        return f"problem document: {body[:300]!r}"
    if status == 400 and not document.get("errors"):
        return f"400 does not say what is wrong: {body[:300]!r}"
    return None


def is_readable_log(log: str) -> list[str]:
    """Return the lines of a Worker's log that look like its own but are not printable JSON."""
    wrong = []
    for line in log.split("\n"):
        if line.startswith('{"event"'):
            try:
                json.loads(line)
            except ValueError:
                wrong.append(line[:300])
                continue
            if not line.isprintable():
                wrong.append(line[:300])
    return wrong
