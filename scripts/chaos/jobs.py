"""Operations on jobs, and what must hold for each of them from its beginning to its end."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from chaos.asking import document, line
from chaos.ground import ABANDONED, now_ms
from chaos.reading import FORMATS
from chaos.rules import Inquiry, Reply, judge_samples
from chaos.scene import Scene, Visitor
from chaos.workload import Ask, Step
from devtools.servers import HOST

OK, ACCEPTED, CONFLICT, GONE = 200, 202, 409, 410
ENDED = {"completed", "failed", "cancelled"}
STATUSES = ENDED | {"queued", "processing", "retrying"}
EVENTS_S = 3.0
# A chunk that is being fetched notices the end of its job within so long.
NOTICE_MS = 8_000
LISTED = 50


@dataclass
class Job:
    """
    A job, as its answers have shown it.

    Attributes:
        sent_ms: When it was first asked for.
        progress: The greatest seen.
        ended: The status it ended with, once that was seen.
        cancelled_ms: When its cancelling was acknowledged.
        retried_ms: When it was last sent again.
    """

    job_id: str
    ask: Ask
    sent_ms: int
    progress: float = 0
    ended: str | None = None
    cancelled_ms: int | None = None
    retried_ms: int = 0
    lock: Lock = field(default_factory=Lock)


class Jobs:
    """
    All jobs of a run.

    Args:
        scene: Of the run.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lock = Lock()
        self.jobs: list[Job] = []
        self._active: dict[Ask, Job] = {}

    def submit(self, step: Step, visitor: Visitor) -> None:
        """Ask for much; while a job of the same request is active, it must be that one."""
        assert step.ask is not None
        del visitor
        self.send_job(step.number, step.ask)

    def send_job(self, number: int, ask: Ask) -> Job | None:
        """Ask for much; return the job, None where there is none."""
        scene = self._scene
        with self._lock:
            before = self._active.get(ask)
        began_ms = now_ms()
        reply, _ = scene.send("POST", "/api/timeseries", body=json.dumps(document(ask)).encode())
        if reply.status == OK:
            self._judge(number, Job("", ask, began_ms), ask.format, reply, (began_ms, began_ms))
            return None
        if reply.status != ACCEPTED:
            scene.check_refusal(number, line(ask), reply, site=ask.site, since_ms=began_ms)
            return None
        job_id = json.loads(reply.body)["jobId"]
        with self._lock:
            known = next((job for job in self.jobs if job.job_id == job_id), None)
            job = known or Job(job_id, ask, began_ms)
            if known is None:
                self.jobs.append(job)
            self._active[ask] = job
        if before is not None and before.job_id != job_id and before.ended is None:
            self.look(number, before)
            if before.ended is None and before.cancelled_ms is None:
                scene.record.note(
                    number, "same_job", line(ask), f"{before.job_id} is active, got {job_id}"
                )
        return job

    def _pick(self, step: Step) -> Job | None:
        with self._lock:
            jobs = list(self.jobs)
        # The latest more often than the others.
        return jobs[-1 - int(step.draws[0] ** 2 * len(jobs))] if jobs else None

    def poll(self, step: Step, visitor: Visitor) -> None:
        """Look at a job."""
        del visitor
        if (job := self._pick(step)) is not None:
            self.look(step.number, job)

    def look(self, number: int, job: Job) -> None:
        """Read a job, and judge what is said of it."""
        with job.lock:
            progress, ended, retried_ms = job.progress, job.ended, job.retried_ms
        began_ms = now_ms()
        reply, _ = self._scene.send("GET", f"/api/jobs/{job.job_id}")
        if reply.status != OK:
            self._scene.check_refusal(
                number, f"GET /api/jobs/{job.job_id}", reply, site=None, since_ms=began_ms
            )
            return
        found: Mapping[str, Any] = json.loads(reply.body)
        was_retried = job.retried_ms != retried_ms
        self._note(number, job, found, progress, None if was_retried else ended)

    def _note(
        self,
        number: int,
        job: Job,
        found: Mapping[str, Any],
        progress: float,
        ended: str | None,
    ) -> None:
        """Judge what is said of a job by what was said before, and remember it."""
        for text in faults_of(found, progress, ended):
            self._scene.record.note(number, "job", f"GET /api/jobs/{job.job_id}", text)
        with job.lock:
            job.progress = max(job.progress, found["progress"])
            if found["status"] in ENDED and (job.retried_ms < now_ms() - NOTICE_MS):
                job.ended = found["status"]

    def data(self, step: Step, visitor: Visitor) -> None:
        """Ask for a job's result, in any format."""
        del visitor
        job = self._pick(step)
        if job is None:
            return
        self.read_data(step.number, job, FORMATS[int(step.draws[1] * len(FORMATS))])

    def read_data(self, number: int, job: Job, output: str) -> bool:
        """Ask for a job's result; return whether it came."""
        scene, request = self._scene, f"GET /api/jobs/{job.job_id}/data?format={output}"
        ended, retried_ms = job.ended, job.retried_ms
        with scene.flights.flight() as (began_ms, oldest_ms):
            reply, _ = scene.send(
                "GET",
                f"/api/jobs/{job.job_id}/data",
                [("format", output)],
                is_gzip=bool(number % 3),
                timeout_ms=30_000,
            )
        if reply.status == OK:
            # One that was over before it could be cancelled: nobody keeps account of its data.
            if job.ask.site != ABANDONED:
                self._judge(number, job, output, reply, (began_ms, oldest_ms))
            return True
        deserved: set[int] = set()
        if ended != "completed" or retried_ms:
            deserved.add(CONFLICT)
        if self._may_be_gone(job):
            deserved.add(GONE)
        scene.check_refusal(
            number,
            request,
            reply,
            site=None,
            since_ms=began_ms,
            deserved=frozenset(deserved),
        )
        return False

    def _may_be_gone(self, job: Job) -> bool:
        """Return whether a result may no longer be there."""
        policy, truth = self._scene.profile.policy, self._scene.truth
        age_ms = now_ms() - job.sent_ms
        return (
            bool(self._scene.damaged)
            # What was young when fetched is kept for little more than the grace.
            or age_ms > min(policy.grace_ms, policy.unread_ms)
            or truth.was_purged(job.ask.site, job.ask.start_ms, job.ask.end_ms, job.sent_ms)
        )

    def _judge(
        self, number: int, job: Job, output: str, reply: Reply, moments: tuple[int, int]
    ) -> None:
        """Judge a result; *moments*: when it was asked for, and the oldest request under way."""
        began_ms, oldest_ms = moments
        asked = Inquiry(
            site=job.ask.site,
            points=tuple(dict.fromkeys(job.ask.points)),
            start_ms=job.ask.start_ms,
            end_ms=job.ask.end_ms,
            format=output,
            max_points=None,
            asked_ms=min(job.sent_ms, began_ms),
            request_ms=began_ms,
            since_ms=oldest_ms,
            answered_ms=now_ms(),
            is_failing=False,
        )
        verdict = judge_samples(self._scene.truth, self._scene.profile.policy, asked, reply)
        for rule, text in verdict.faults:
            request = f"GET /api/jobs/{job.job_id}/data?format={output} of {line(job.ask)}"
            self._scene.record.note(number, rule, request, text)

    def cancel(self, step: Step, visitor: Visitor) -> None:
        """Cancel a job, ended or not."""
        del visitor
        if (job := self._pick(step)) is not None:
            self.cancel_job(step.number, job)

    def cancel_job(self, number: int, job: Job) -> None:
        """Cancel a job; `cancelled_ms` tells when that was acknowledged."""
        ended, began_ms = job.ended, now_ms()
        reply, _ = self._scene.send("DELETE", f"/api/jobs/{job.job_id}")
        request = f"DELETE /api/jobs/{job.job_id}"
        if reply.status == OK:
            job.cancelled_ms = now_ms()
            if ended is not None and not job.retried_ms:
                self._scene.record.note(number, "job", request, f"cancelled after it was {ended}")
            return
        # Without a look at it, nobody knows whether it has ended meanwhile.
        self._scene.check_refusal(
            number,
            request,
            reply,
            site=None,
            since_ms=began_ms,
            deserved=frozenset({CONFLICT}),
        )

    def retry(self, step: Step, visitor: Visitor) -> None:
        """Send a failed job again."""
        del visitor
        with self._lock:
            failed = [job for job in self.jobs if job.ended == "failed"]
        if not failed:
            return
        job = failed[int(step.draws[0] * len(failed))]
        began_ms = now_ms()
        with job.lock:
            job.retried_ms, job.ended = began_ms, None
        path = f"/api/queue/dlq/failures/{job.job_id}/retry"
        reply, _ = self._scene.send("POST", path)
        if reply.status != ACCEPTED:
            deserved = frozenset({CONFLICT, 404})
            self._scene.check_refusal(
                step.number,
                f"POST {path}",
                reply,
                site=None,
                since_ms=began_ms,
                deserved=deserved,
            )

    def listing(self, step: Step, visitor: Visitor) -> None:
        """List the jobs: those that are listed are ours."""
        del visitor
        began_ms = now_ms()
        reply, _ = self._scene.send("GET", "/api/jobs", [("limit", LISTED)])
        if reply.status != OK:
            self._scene.check_refusal(
                step.number, "GET /api/jobs", reply, site=None, since_ms=began_ms
            )
            return
        for found in json.loads(reply.body)["jobs"]:
            if found["status"] not in STATUSES or not 0 <= found["progress"] <= 100:
                self._scene.record.note(step.number, "job", "GET /api/jobs", f"lists {found}")

    def events(self, step: Step, visitor: Visitor) -> None:
        """Follow a job for a while."""
        del visitor
        job = self._pick(step)
        if job is None:
            return
        progress, began_ms, request = job.progress, now_ms(), f"GET /api/jobs/{job.job_id}/events"
        connection = http.client.HTTPConnection(HOST, self._scene.runtime.port, timeout=EVENTS_S)
        try:
            connection.request("GET", f"/api/jobs/{job.job_id}/events")
            response = connection.getresponse()
            for name, found in read_events(response, time.monotonic() + EVENTS_S):
                if name not in ENDED | {"progress"} or found["progress"] < progress:
                    self._scene.record.note(
                        step.number, "job", request, f"event {name} {found} after {progress}"
                    )
                progress = found["progress"]
        except TimeoutError:
            return
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            if not self._scene.explains(0, None, began_ms) and not self._scene.explains(
                503, None, began_ms
            ):
                self._scene.record.note(step.number, "unanswered", request, repr(error))
        finally:
            connection.close()


def faults_of(found: Mapping[str, Any], progress: float, ended: str | None) -> Iterator[str]:
    """
    Yield what is wrong with a job's document.

    Args:
        found: The document.
        progress: The greatest progress that was seen before the request.
        ended: The status that it was seen to end with, before the request.
    """
    if found["status"] not in STATUSES:
        yield f"status {found['status']}"
    if found["progress"] < progress:
        yield f"progress fell from {progress} to {found['progress']}"
    if ended is not None and found["status"] != ended:
        yield f"was {ended} and is {found['status']}"
    if found["completedChunks"] > found["totalChunks"]:
        yield f"{found['completedChunks']} chunks of {found['totalChunks']} are completed"
    is_complete = found["status"] == "completed"
    if is_complete and (found["progress"] != 100 or not found.get("dataUrl")):
        yield f"completed with progress {found['progress']}, dataUrl {found.get('dataUrl')}"


def read_events(
    response: http.client.HTTPResponse, deadline: float
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    Yield the name and document of each Server-Sent Event, to the end or the deadline.

    Raises:
        ValueError: The status is not 200, or a document is no JSON.
    """
    if response.status != OK:
        raise ValueError(f"status {response.status}: {response.read(200)!r}")
    name = ""
    while time.monotonic() < deadline:
        text = response.readline()
        if not text:
            return
        if text.startswith(b"event:"):
            name = text[6:].strip().decode()
        elif text.startswith(b"data:"):
            yield name, json.loads(text[5:])
