"""Operations that ask for samples."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, replace
from threading import Lock
from urllib.parse import urlencode

from chaos.ground import now_ms
from chaos.profiles import TIMEOUT_MS
from chaos.rules import Inquiry, Reply, judge_samples
from chaos.scene import Scene, Visitor
from chaos.workload import Ask, Step

KEPT_ANSWERS = 150
OK, NOT_MODIFIED = 200, 304
# A request with less time may end for lack of it without any fault.
HASTY_MS = 1_000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer with its entity tag."""

    ask: Ask
    etag: str
    reply: Reply


class Asking:
    """
    Asks, and judges what is answered.

    Args:
        scene: Of the run.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._kept: deque[Kept] = deque(maxlen=KEPT_ANSWERS)
        self._lock = Lock()

    def ask(self, step: Step, visitor: Visitor) -> str:
        """Ask a question, judge the answer by every rule, and return how the cache answered."""
        assert step.ask is not None
        return self._ask(step, resolved(step.ask), visitor)

    def head(self, step: Step, visitor: Visitor) -> None:
        """Ask for the headers alone."""
        assert step.ask is not None
        del visitor
        ask = resolved(step.ask)
        with self._scene.flights.flight() as (began_ms, _):
            reply, took_ms = self._scene.send(
                "HEAD", "/api/timeseries", parameters(ask), is_gzip=ask.is_gzip
            )
        if reply.status == OK and not reply.body:
            return
        # Without a status, the body says why there is no answer.
        if reply.status > 0 and reply.body:
            self._scene.record.note(step.number, "head", line(ask), f"a body: {reply.body[:80]!r}")
        # A problem without its document cannot be judged.
        is_timed_out = is_over(ask, took_ms)
        is_explained = is_timed_out or self._scene.explains(reply.status, ask.site, began_ms)
        if reply.status != OK and not is_explained:
            text = f"status {reply.status}"
            self._scene.record.note(step.number, "unexplained", f"HEAD {line(ask)}", text)

    def leave(self, step: Step, visitor: Visitor) -> None:
        """Ask, and reset the connection before the end, as one does who zooms on."""
        assert step.ask is not None
        del visitor
        ask = resolved(step.ask)
        target = f"/api/timeseries?{urlencode(parameters(ask))}"
        began_ms = now_ms()
        try:
            self._scene.send_and_leave(target, step.draws[0] * 0.4)
        except OSError as error:
            if not self._scene.explains(0, ask.site, began_ms):
                self._scene.record.note(step.number, "unanswered", line(ask), repr(error))
        self._scene.flights.leave(began_ms)

    def repeat(self, step: Step, visitor: Visitor) -> None:
        """Ask again what was answered before, with its entity tag."""
        with self._lock:
            kept = list(self._kept)
        if not kept:
            return
        # The latest more often than the others.
        chosen = kept[-1 - int(step.draws[0] ** 2 * len(kept))]
        self._ask(step, chosen.ask._replace(is_post=False), visitor, chosen)

    def _ask(self, step: Step, ask: Ask, visitor: Visitor, kept: Kept | None = None) -> str:
        scene = self._scene
        with scene.flights.flight() as (began_ms, oldest_ms):
            reply, took_ms = self._send(ask, kept)
        policy = scene.profile.policy
        if took_ms > TIMEOUT_MS + 5_000 and reply.status > 0:
            scene.record.note(step.number, "late", line(ask), f"answered after {took_ms} ms")
        if reply.status not in (OK, NOT_MODIFIED) or (kept is None and reply.status != OK):
            deserved = frozenset({504}) if is_over(ask, took_ms) else frozenset()
            scene.check_refusal(
                step.number, line(ask), reply, site=ask.site, since_ms=began_ms, deserved=deserved
            )
            return ""
        asked = Inquiry(
            site=ask.site,
            points=tuple(dict.fromkeys(ask.points)),
            start_ms=ask.start_ms,
            end_ms=ask.end_ms,
            format=ask.format,
            max_points=ask.max_points,
            asked_ms=began_ms,
            request_ms=began_ms,
            since_ms=oldest_ms,
            answered_ms=now_ms(),
            is_failing=is_over(ask, took_ms) or scene.explains(502, ask.site, began_ms),
            route=ask.route,
            is_fresh=ask.is_fresh,
        )
        is_same = reply.status == NOT_MODIFIED
        if is_same:
            assert kept is not None
            status = reply.headers.get("x-cache-status", "hit")
            reply = replace(kept.reply, headers={**kept.reply.headers, "x-cache-status": status})
        verdict = judge_samples(scene.truth, policy, asked, reply)
        memory = visitor.recall(scene, began_ms)
        faults = [*verdict.faults, *memory.faults(verdict.sightings, step.number)]
        for rule, text in faults:
            if not is_same:
                scene.record.note(step.number, rule, line(ask), text)
            elif rule in ("samples", "points", "going_back"):
                scene.record.note(step.number, "not_modified", line(ask), text)
        if faults and not is_same:
            scene.keep_evidence(step.number, line(ask), began_ms, reply)
        etag = reply.headers.get("etag")
        if etag and not is_same and not verdict.faults and not ask.is_live:
            with self._lock:
                self._kept.append(Kept(ask, etag, reply))
        return verdict.status

    def _send(self, ask: Ask, kept: Kept | None) -> tuple[Reply, int]:
        headers = {} if kept is None else {"If-None-Match": kept.etag}
        if not ask.is_post:
            return self._scene.send(
                "GET",
                "/api/timeseries",
                parameters(ask),
                headers=headers,
                is_gzip=ask.is_gzip,
            )
        return self._scene.send(
            "POST",
            "/api/timeseries",
            body=json.dumps(document(ask)).encode(),
            headers=headers,
            is_gzip=ask.is_gzip,
        )


def resolved(ask: Ask) -> Ask:
    """Return a question with its range in epoch ms."""
    if not ask.is_live:
        return ask
    present_ms = now_ms()
    return ask._replace(start_ms=present_ms - ask.start_ms, end_ms=present_ms - ask.end_ms)


def parameters(ask: Ask) -> list[tuple[str, object]]:
    """Return a question as the parameters of a query."""
    own = {"site": ask.site, "start_time": ask.start_ms, "end_time": ask.end_ms, **ask.options}
    return [*own.items(), *(("point", name) for name in ask.points)]


def document(ask: Ask) -> dict[str, object]:
    """Return a question as the body of a POST."""
    own = {"site": ask.site, "start_time": ask.start_ms, "end_time": ask.end_ms}
    more = {
        name: value == "true" if name == "fresh" else value for name, value in ask.options.items()
    }
    return {**own, "points": list(ask.points), **more}


def is_over(ask: Ask, took_ms: int) -> bool:
    """Return whether a question gives little time, or its answer has taken all that it gives."""
    return ask.timeout_ms is not None and ask.timeout_ms < max(HASTY_MS, took_ms)


def line(ask: Ask) -> str:
    """Return a question as a line, to be sent again by hand."""
    how = f"{'POST' if ask.is_post else 'GET'}{' gzip' if ask.is_gzip else ''}"
    return f"{how} /api/timeseries?{urlencode(parameters(ask))}"
