"""
What a call does, step by step, without doing it: see `wire.py`.

Each function here is a flow: it yields effects, is sent their outcomes, and returns the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from building_vitals_client.bodies import Body
from building_vitals_client.documents import Job, JobPage, ListPage, Me, Queued
from building_vitals_client.errors import (
    BrokenDownload,
    BuildingVitalsError,
    JobCancelled,
    JobFailed,
    ResultExpired,
    error_of,
)
from building_vitals_client.events import Event, EventReader
from building_vitals_client.patience import PATIENCE_S, Patience
from building_vitals_client.progress import OnProgress, Progress
from building_vitals_client.question import Question
from building_vitals_client.result import Timeseries, read_timeseries
from building_vitals_client.wire import Exchange, Flow, OnBytes, Pairs, Pause, Reply, Request

T = TypeVar("T")

_ERROR_MIN = 400
_ACCEPTED = 202
# A stream of events says something every 15 seconds.
EVENTS_SILENCE_S = 40.0
# Before the next stream, as the Worker's own `retry` says.
RECONNECT_S = 1.0
# Streams in a row that told nothing; after that the job is asked for its state.
STREAMS_IN_VAIN_MAX = 3
POLL_S_MAX = 10.0
POLL_GROWTH = 1.5
# What a caller who leaves waits for: that the job is cancelled.
FAREWELL_S = 5.0
PAGE_SIZE = 5000
JOBS_PAGE_SIZE = 1000
# A result that expires while it is asked for is asked for once more, from the beginning.
ROUNDS_MAX = 2


@dataclass(frozen=True)
class Target:
    """
    Where a successful answer goes: see `memory` and `files.FileTarget`.

    Attributes:
        format: The API's name of it.
        open: Returns the body for one attempt, told of the bytes that come.
        read: Returns the result of a whole body; raises BrokenDownload where it is none.
    """

    format: str
    open: Callable[[OnBytes], Body]
    read: Callable[[Body], Any]


def memory(question: Question) -> Target:
    """Return the target of an answer that becomes a `Timeseries`."""

    def read(body: Body) -> Timeseries:
        return read_timeseries(body.content, aggregates=question.aggregates, tz=question.tz)

    return Target("json", lambda on_bytes: Body(on_bytes=on_bytes), read)


def ask(
    request: Request,
    read: Callable[[Reply, Body], T],
    *,
    open_body: Callable[[], Body] = Body,
    patience_s: float = PATIENCE_S,
) -> Flow[T]:
    """
    Send a request until it is answered; returns what *read* makes of the answer.

    Raises:
        BuildingVitalsError: the last attempt's.
    """
    patience = Patience(patience_s)
    while True:
        body = open_body()
        try:
            reply = yield Exchange(request, body)
            assert reply is not None  # noqa: S101 - the outcome of an exchange
            if reply.status < _ERROR_MIN:
                return read(reply, body)
            raise error_of(reply.status, reply.headers, body.content)
        except BuildingVitalsError as error:
            pause_s = patience.pause_after(error)
        yield Pause(pause_s)


def document(kind: type[T], body: Body) -> T:
    """Return a JSON answer as an object."""
    try:
        return msgspec.json.decode(body.content, type=kind)
    except msgspec.MsgspecError as error:
        raise BrokenDownload(f"the answer cannot be read: {error}") from None


@dataclass(frozen=True)
class Flows:
    """
    The calls of one client.

    Attributes:
        patience_s: How long pauses between the attempts of a request may be together.
    """

    patience_s: float = PATIENCE_S

    def get(self, kind: type[T], path: str, query: Pairs = ()) -> Flow[T]:
        """Return a document."""
        request = Request("GET", path, query)
        return ask(request, lambda _, body: document(kind, body), patience_s=self.patience_s)

    def me(self) -> Flow[Me]:
        """Return the key's rights."""
        return self.get(Me, "/api/me")

    def job(self, job_id: str) -> Flow[Job]:
        """Return a job."""
        return self.get(Job, _job_path(job_id))

    def health(self) -> Flow[dict[str, Any]]:
        """Return the Worker's health, be it degraded: that is a 503 with the same document."""

        def read(body: Body) -> dict[str, Any]:
            found = msgspec.json.decode(body.content, type=dict[str, Any])
            if "checks" not in found:
                raise ValueError
            return found

        body = Body()
        reply = yield Exchange(Request("GET", "/api/health"), body)
        assert reply is not None  # noqa: S101 - the outcome of an exchange
        try:
            return read(body)
        except (msgspec.MsgspecError, ValueError):
            raise error_of(max(reply.status, _ERROR_MIN), reply.headers, body.content) from None

    def pages(self, path: str, query: Pairs = ()) -> Flow[list[dict[str, Any]]]:
        """Return all items of a list, page by page."""
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            numbered = (*query, ("page", str(page)), ("per_page", str(PAGE_SIZE)))
            found = yield from self.get(ListPage, path, numbered)
            items += found.items
            if page >= found.pages or not found.items:
                return items
            page += 1

    def sites(self) -> Flow[list[dict[str, Any]]]:
        """Return the sites that the key may read."""
        found = yield from self.get(ListPage, "/api/sites")
        return found.items

    def points(self, site: str, words: str | Iterable[str]) -> Flow[list[dict[str, Any]]]:
        """Return the points of a site that have all words."""
        search = (words if isinstance(words, str) else " ".join(words)).strip()
        query = (("search", search),) if search else ()
        return self.pages(f"/api/sites/{quote(site, safe='')}/points", query)

    def jobs(self, status: str | None, site: str | None, limit: int | None) -> Flow[list[Job]]:
        """Return jobs, the newest first."""
        given = (("status", status), ("site", site))
        query = tuple((name, value) for name, value in given if value is not None)
        jobs: list[Job] = []
        cursor: str | None = ""
        while cursor is not None and (limit is None or len(jobs) < limit):
            page_size = JOBS_PAGE_SIZE if limit is None else min(limit - len(jobs), JOBS_PAGE_SIZE)
            page_query = (*query, ("limit", str(page_size)), ("cursor", cursor))
            page = yield from self.get(JobPage, "/api/jobs", page_query)
            jobs += page.jobs
            cursor = page.next_cursor
        return jobs

    def cancel(self, job_id: str) -> Flow[None]:
        """Cancel a job."""
        request = Request("DELETE", _job_path(job_id))
        return ask(request, lambda _reply, _body: None, patience_s=self.patience_s)

    def timeseries(self, question: Question, target: Target, on_progress: OnProgress) -> Flow[Any]:
        """
        Return the answer to a request, whatever its size.

        Raises:
            JobFailed, JobCancelled: it became a job that ended so.
        """
        for rounds_left in reversed(range(ROUNDS_MAX)):
            outcome = yield from self._post(question, target, on_progress)
            if not isinstance(outcome, Queued):
                on_progress(Progress("done"))
                return outcome
            job = yield from self.completed(
                outcome.job_id, outcome.poll_interval / 1000, on_progress, cancels=True
            )
            try:
                return (yield from self.job_result(job, target, on_progress))
            except ResultExpired:
                if not rounds_left:
                    raise
        raise AssertionError("unreachable")

    def _post(self, question: Question, target: Target, on_progress: OnProgress) -> Flow[Any]:
        """Return the answer, or the job that the request became."""

        def read(reply: Reply, body: Body) -> Any:
            if reply.status == _ACCEPTED:
                return document(Queued, body)
            return target.read(body)

        content = question.content(target.format)
        request = Request("POST", "/api/timeseries", content=content, accept="*/*")
        return ask(
            request,
            read,
            open_body=lambda: target.open(partial(_tell, on_progress, None)),
            patience_s=self.patience_s,
        )

    def job_result(
        self, job: Job, target: Target, on_progress: OnProgress, form: Pairs = ()
    ) -> Flow[Any]:
        """Return the result of a completed job."""
        query = (("format", target.format), *form)
        request = Request("GET", f"{_job_path(job.job_id)}/data", query, accept="*/*")
        result = yield from ask(
            request,
            lambda _, body: target.read(body),
            open_body=lambda: target.open(partial(_tell, on_progress, job)),
            patience_s=self.patience_s,
        )
        on_progress(Progress("done", job))
        return result

    def completed(
        self, job_id: str, poll_s: float, on_progress: OnProgress, *, cancels: bool = False
    ) -> Flow[Job]:
        """
        Wait until a job is completed, and return it.

        Args:
            job_id: Of the job.
            poll_s: How often it is looked at when events do not come.
            on_progress: Told of each change.
            cancels: Whether the job is cancelled when the caller gives up waiting.

        Raises:
            JobFailed, JobCancelled: it ended so.
        """
        try:
            job = yield from self._ended(job_id, poll_s, on_progress)
        except (BuildingVitalsError, GeneratorExit):
            raise
        except BaseException:
            # The caller leaves: an interrupt, a cancelled task, an error of its own callback.
            if cancels:
                yield from _cancel_quietly(job_id)
            raise
        if job.status == "failed":
            raise JobFailed(job)
        if job.status == "cancelled":
            raise JobCancelled(job)
        return job

    def _ended(self, job_id: str, poll_s: float, on_progress: OnProgress) -> Flow[Job]:
        in_vain = 0
        while True:
            if in_vain < STREAMS_IN_VAIN_MAX:
                job = yield from _last_heard(job_id, on_progress)
                if job is not None and job.is_over:
                    return job
                if job is not None:
                    in_vain = 0
                    yield Pause(RECONNECT_S)
                    continue
                in_vain += 1
            yield Pause(poll_s)
            poll_s = min(POLL_GROWTH * poll_s, POLL_S_MAX)
            job = yield from self.job(job_id)
            on_progress(Progress("waiting", job))
            if job.is_over:
                return job


def _last_heard(job_id: str, on_progress: OnProgress) -> Flow[Job | None]:
    """Follow a job's events to their end; returns the job as last heard of, None for nothing."""
    heard: list[Job] = []

    def take(event: Event) -> bool:
        try:
            job = msgspec.json.decode(event.data, type=Job)
        except msgspec.MsgspecError:
            return True
        heard.append(job)
        on_progress(Progress("waiting", job))
        return job.is_over

    request = Request(
        "GET",
        f"{_job_path(job_id)}/events",
        accept="text/event-stream",
        silence_s=EVENTS_SILENCE_S,
    )
    # Whatever is wrong, the next look at the job itself will tell.
    with suppress(BuildingVitalsError):
        yield Exchange(request, Body(EventReader(take).feed))
    return heard[-1] if heard else None


def _cancel_quietly(job_id: str) -> Flow[None]:
    """Cancel a job once; whether that works is not what the caller is told."""
    try:
        yield Exchange(Request("DELETE", _job_path(job_id), silence_s=FAREWELL_S), Body())
    except BuildingVitalsError:
        return


def _tell(on_progress: OnProgress, job: Job | None, received_bytes: int) -> None:
    on_progress(Progress("downloading", job, received_bytes))


def _job_path(job_id: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}"
