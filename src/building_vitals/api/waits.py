"""
Requests that become jobs: answered with the job's address, or with its result if they wait.

Separate because few requests do: it is imported when the first one does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from building_vitals.access.key_access import KNOWN_MS
from building_vitals.answers.answer import TimeseriesAnswer
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.api.documents import QueuedAnswer
from building_vitals.api.messages import NO_STORE, Call, Reply, json_reply
from building_vitals.api.negotiation import preferred_wait
from building_vitals.api.parameters import WAIT_S_MAX
from building_vitals.api.timeseries import timeseries_reply
from building_vitals.jobs.model import Job
from building_vitals.jobs.options import POLL_INTERVAL_MS
from building_vitals.jobs.submission import Queued


async def queue(call: Call, question: Question) -> Reply:
    """Make a large request a job; return its result if the client waits for it, or its address."""
    app = call.app
    if call.request.method == "HEAD":
        # What a GET would say, but for the address: a look makes no job.
        described = [("Content-Type", "application/json"), ("X-Route-Type", "queued"), NO_STORE]
        return Reply(status=202, headers=described)
    await app.limits.admit_job(call.caller)
    request = kept_request(question)
    queued = await app.jobs.queue_large_request(request, call.caller, question.estimated)
    if queued.is_new:
        app.analytics.record_queued_job(queued.job_id)
    call.facts.job_id, call.facts.is_new = queued.job_id, queued.is_new
    wait_s, applied = question.request.wait_s, list[tuple[str, str]]()
    if wait_s is None:
        wait_s = preferred_wait(call.request.headers.get("prefer"), WAIT_S_MAX)
        applied = [] if wait_s is None else [("Preference-Applied", f"wait={wait_s}")]
    if wait_s is None:
        return _queued_reply(queued, question, [])
    with _held(call) as on_look:
        if on_look is None:
            return _queued_reply(queued, question, [])
        until_ms = question.started_ms + 1000 * wait_s
        job = await app.jobs.wait_for_job(queued.job_id, until_ms, on_look)
        answer = None if job is None else await _result(call, question, job)
    if answer is None:
        return _queued_reply(queued, question, applied, job)
    reply = timeseries_reply(call, answer, question)
    reply.headers += applied
    return reply


def kept_request(question: Question) -> TimeseriesRequest:
    """Return a request as its job keeps it: with a format that only `Accept` has asked for."""
    request = question.request
    if request.format is None and question.format != "json":
        return dataclasses.replace(request, format=question.format)
    return request


def _queued_reply(
    queued: Queued, question: Question, headers: list[tuple[str, str]], job: Job | None = None
) -> Reply:
    """Return the address of a job; *job* where it has ended in a wait."""
    url = f"/api/jobs/{queued.job_id}"
    message = "the request is large and runs in the background; statusUrl shows its progress"
    if job is not None:
        message = f"the job of the request is {job.status}; statusUrl shows it"
    elif not queued.is_new:
        message = "the same request is running in the background already"
    document = QueuedAnswer(
        job_id=queued.job_id,
        message=message,
        status_url=url,
        poll_interval=POLL_INTERVAL_MS,
        estimated_samples=question.estimated,
    )
    return json_reply(
        document,
        202,
        ("Location", url),
        ("Retry-After", str(POLL_INTERVAL_MS // 1000)),
        ("X-Route-Type", "queued"),
        NO_STORE,
        *headers,
    )


@contextmanager
def _held(call: Call) -> Iterator[Callable[[int], None] | None]:
    """
    Count a request that waits for as long as the block lasts.

    Gives what is to be told the time of each look, or None where too many wait already.
    """
    waits, wait = call.app.isolate.waits, (call.caller.key_id, call.request.request_id)
    if not waits.enter(*wait, call.app.clock.now_ms()):
        yield None
        return
    try:
        yield partial(waits.touch, *wait)
    finally:
        waits.leave(*wait)


async def _result(call: Call, question: Question, job: Job) -> TimeseriesAnswer | None:
    """
    Return the result of a job that has ended in a wait; None where there is none.

    A key that was revoked in a long wait gets nothing, nor after it lost the site.
    """
    app = call.app
    if job.status != "completed":
        return None
    if app.clock.now_ms() - question.started_ms >= KNOWN_MS:
        caller = await app.access.identify_again(call.request.headers)
        caller.require_site(job.site)
    _, result = await app.jobs.get_job_with_result(job.job_id, call.caller)
    if result is not None:
        answer = await app.results.answer(question, result)
        if answer is not None:
            return answer
    return await app.timeseries.answer_known(question, as_of_ms=job.created_ms)
