"""Jobs that are cancelled while they fetch: what is fetched for them afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

from chaos.ground import ABANDONED, START_MS, now_ms
from chaos.jobs import ENDED, NOTICE_MS, Jobs
from chaos.scene import Scene, Visitor
from chaos.workload import DAY_MS, Ask, Step
from fakes.upstream import LoggedRequest

OK = 200
WATCH_S = 2.0
# A chunk that was claimed at the moment of the cancelling may begin so much later.
CLAIM_MS = 1_500


class Abandoning:
    """
    Cancels jobs of a site that nobody else asks for, one after the other.

    Args:
        scene: Of the run.
        jobs: Takes the jobs.
    """

    def __init__(self, scene: Scene, jobs: Jobs) -> None:
        self._scene, self._jobs = scene, jobs
        self._abandoned: tuple[int, str] | None = None
        self._quiet_ms = 0
        self._lock = Lock()

    def abandon(self, step: Step, visitor: Visitor) -> None:
        """Submit a job that takes long, cancel it once it fetches; later nothing may be fetched."""
        del visitor
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self.check(step.number) and not self._is_busy(step.number):
                self._abandon(step)
        finally:
            self._lock.release()

    def _is_busy(self, number: int) -> bool:
        """Return whether a job of before, which could not be cancelled then, may still fetch."""
        reply, _ = self._scene.send("GET", "/api/jobs", [("site", ABANDONED), ("limit", "100")])
        if reply.status != OK:
            return True
        known = {job.job_id: job for job in list(self._jobs.jobs)}
        for each in json.loads(reply.body)["jobs"]:
            if each["status"] in ENDED:
                continue
            job_id = each["jobId"]
            if job_id in known:
                self._jobs.cancel_job(number, known[job_id])
            else:
                # The answer that told of it was lost.
                self._scene.send("DELETE", f"/api/jobs/{job_id}")
            self._quiet_ms = now_ms() + NOTICE_MS
        return now_ms() < self._quiet_ms

    def _abandon(self, step: Step) -> None:
        scene, number = self._scene, step.number
        scene.send("DELETE", "/api/cache", [("site", ABANDONED)])
        names = sorted(each["name"] for each in self._points())
        if not names:
            return
        start_ms = START_MS + int(step.draws[0] * DAY_MS)
        ask = Ask(
            ABANDONED, tuple(names), start_ms, start_ms + 18 * DAY_MS,
            "queued", "json", True, True, False, None, None,
        )  # fmt: skip
        scene.upstream.clear_log(ABANDONED)
        job = self._jobs.send_job(number, ask)
        if job is None:
            return
        deadline = time.monotonic() + WATCH_S
        while time.monotonic() < deadline and not scene.upstream.fetches(ABANDONED):
            time.sleep(0.02)
        self._jobs.cancel_job(number, job)
        if job.cancelled_ms is not None:
            self._abandoned = (job.cancelled_ms, job.job_id)

    def _points(self) -> list[dict[str, Any]]:
        reply, _ = self._scene.send("GET", f"/api/sites/{ABANDONED}/points")
        return list(json.loads(reply.body)["items"]) if reply.status == OK else []

    def check(self, number: int) -> bool:
        """See that nothing was fetched for the last cancelled job; False: it is too soon."""
        if self._abandoned is None:
            return True
        cancelled_ms, job_id = self._abandoned
        if now_ms() < cancelled_ms + NOTICE_MS:
            return False
        begun, late = split(self._scene.upstream.fetches(ABANDONED), cancelled_ms + CLAIM_MS)
        begun_parts = {part_of(each) for each in begun}
        others = [each for each in late if part_of(each) not in begun_parts]
        if others:
            last_ms = others[-1].time_ms - cancelled_ms
            text = f"{len(others)} upstream requests of other chunks, up to {last_ms} ms after it"
            self._scene.record.note(number, "cancelled", f"DELETE /api/jobs/{job_id}", text)
        self._abandoned = None
        return True


def split(
    requests: Sequence[LoggedRequest], moment_ms: int
) -> tuple[list[LoggedRequest], list[LoggedRequest]]:
    """Return the requests up to a moment, and those after it."""
    return (
        [each for each in requests if each.time_ms <= moment_ms],
        [each for each in requests if each.time_ms > moment_ms],
    )


def part_of(request: LoggedRequest) -> object:
    """Return what requests for one chunk have in common: its points, else where it ends."""
    return request.names or request.params.get("end_time")
