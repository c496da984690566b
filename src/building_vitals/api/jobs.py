"""`/api/jobs`: the jobs of a key, and their results."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

from building_vitals.access.api_keys import KEY_HEADERS
from building_vitals.access.caller import ANYBODY
from building_vitals.access.streams import OpenStreams
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.api.documents import CancelAnswer
from building_vitals.api.messages import NO_STORE, Call, Reply, json_reply
from building_vitals.api.requests import aggregation_problems, layout_problem
from building_vitals.api.timeseries import question_of, timeseries_reply
from building_vitals.errors import Gone, InvalidRequest, Problem
from building_vitals.jobs.documents import job_document
from building_vitals.jobs.model import Job
from building_vitals.ports import Clock


async def list_jobs(call: Call) -> Reply:
    """List jobs, the newest first."""
    page = await call.app.jobs.list_jobs(call.caller, **call.values())
    return json_reply(page, 200, NO_STORE)


async def read_job(call: Call) -> Reply:
    """Show a job."""
    job = await call.app.jobs.get_job_status(call.captured[0], call.caller)
    call.facts.job_status = job.status
    return json_reply(job_document(job), 200, NO_STORE)


async def cancel_job(call: Call) -> Reply:
    """Cancel a job."""
    job_id = call.captured[0]
    await call.app.jobs.cancel_job(job_id, call.caller)
    call.app.analytics.record_ended_job(job_id, since_ms=call.request.started_ms)
    return json_reply(CancelAnswer(True, f"job {job_id} is cancelled"))


async def read_job_data(call: Call) -> Reply:
    """Answer with the result of a completed job."""
    app, given = call.app, call.values()
    problem = layout_problem(given["format"], given["layout"])
    if problem is not None:
        raise InvalidRequest([Problem("layout", problem)])
    job, result = await app.jobs.get_job_with_result(call.captured[0], call.caller)
    call.caller.require_site(job.site)
    values = _wishes(given, job)
    without_points = TimeseriesRequest(job.site, (), job.time_range, **values)
    if problems := list(aggregation_problems(without_points, job.time_range)):
        raise InvalidRequest(problems)
    if result is not None:
        # The names of the points are most of a job's size, and a stored result needs none of them.
        question = _question(call, without_points, job)
        answer = await app.results.answer(question, result)
        if answer is not None:
            return timeseries_reply(call, answer, question)
    samples_request = dataclasses.replace(await app.jobs.request_of(job), **values)
    question = _question(call, samples_request, job)
    answer = await app.timeseries.answer_known(question, as_of_ms=job.created_ms)
    if answer is None:
        raise Gone("the result has expired; send the request again")
    return timeseries_reply(call, answer, question)


def _wishes(given: dict[str, Any], job: Job) -> dict[str, Any]:
    """Return how a result is wanted: as is asked for now, else as the job was."""
    form = job.form
    # Samples that are chosen and buckets leave each other out: what is asked for now comes first.
    if given["interval"] is not None:
        form.pop("max_points", None)
    elif given["max_points"] is not None:
        for name in ("interval", "aggregate", "tz"):
            form.pop(name, None)
    values = given | {name: value for name, value in form.items() if given[name] is None}
    if given["layout"] == "wide":
        values["format"] = "csv"
    return values


def _question(call: Call, samples_request: TimeseriesRequest, job: Job) -> Question:
    question = question_of(call, samples_request, route="queued", estimated=job.estimated_size)
    # Not those of the request, whose points are not always loaded.
    call.facts.points = job.points_count
    return question


async def follow_job(call: Call) -> Reply:
    """Stream a job's changes until it has ended."""
    app, headers = call.app, call.request.headers
    job = await app.jobs.get_job_status(call.captured[0], call.caller)
    # The request's own headers are the runtime's, and gone when its handler has returned.
    key_headers = {name: headers[name] for name in KEY_HEADERS if name in headers}
    events = app.jobs.events(job, lambda: app.access.identify_again(key_headers))
    if call.caller.key_id != ANYBODY.key_id and call.request.method != "HEAD":
        events = _CountedStream(
            events,
            app.isolate.streams,
            call.caller.key_id,
            call.request.request_id,
            app.clock,
        )
    return Reply(status=200, headers=[("Content-Type", "text/event-stream"), NO_STORE], rest=events)


class _CountedStream:
    """A stream of events that counts for its key until it ends, breaks or is given up."""

    def __init__(
        self,
        events: AsyncIterator[bytes],
        streams: OpenStreams,
        key_id: str,
        stream_id: str,
        clock: Clock,
    ) -> None:
        self._events = events
        self._streams = streams
        self._key_id = key_id
        self._stream_id = stream_id
        self._clock = clock
        streams.open(key_id, stream_id, clock.now_ms())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._streams.touch(self._key_id, self._stream_id, self._clock.now_ms())
        try:
            return await anext(self._events)
        except BaseException:
            self._streams.close(self._key_id, self._stream_id)
            raise

    async def aclose(self) -> None:
        """Give up the stream, wherever it is."""
        self._streams.close(self._key_id, self._stream_id)
        close: Any = getattr(self._events, "aclose", None)
        if close is not None:
            await close()
