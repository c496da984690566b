"""`/api/jobs`, `/api/queue/dlq` and the maintenance run."""

from __future__ import annotations

import dataclasses

from building_vitals.access.caller import Caller
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.api import parameters as p
from building_vitals.api.messages import HttpRequest, Reply, json_reply
from building_vitals.api.requests import parse_page_query
from building_vitals.api.timeseries import about, question_of, timeseries_reply
from building_vitals.app import App
from building_vitals.errors import Gone
from building_vitals.jobs.model import Job

NO_STORE = ("Cache-Control", "no-store")


async def list_jobs(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """List jobs, the newest first."""
    values = parse_page_query(request.query, p.STATUS, p.SITE_FILTER, p.LIMIT, p.CURSOR)
    return json_reply(await app.jobs.list_jobs(caller, **values), 200, [NO_STORE])


async def read_job(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Show a job."""
    job = await app.jobs.get_job_status(request.captured[0], caller)
    return json_reply(job.document(), 200, [NO_STORE], jobStatus=job.status)


async def cancel_job(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Cancel a job."""
    job_id = request.captured[0]
    await app.jobs.cancel_job(job_id, caller)
    app.analytics.record_ended_job(job_id, since_ms=request.started_ms)
    return json_reply({"success": True, "message": f"job {job_id} is cancelled"})


async def read_job_data(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Answer with the result of a completed job."""
    values = parse_page_query(request.query, p.FORMAT, p.MAX_POINTS)
    job, result = await app.jobs.get_job_with_result(request.captured[0], caller)
    caller.require_site(job.site)
    if result is not None:
        # The points are what makes a job large, and a result needs none of them.
        samples_request = TimeseriesRequest(
            site=job.site, points=(), time_range=job.time_range, **values
        )
        question = question_of(
            request, samples_request, route="queued", estimated=job.estimated_size
        )
        _note(request, question, job)
        answer = await app.results.answer(question, result)
        if answer is not None:
            return timeseries_reply(answer, question, app)
    samples_request = dataclasses.replace(await app.jobs.request_of(job), **values)
    question = question_of(request, samples_request, route="queued", estimated=job.estimated_size)
    _note(request, question, job)
    answer = await app.timeseries.answer_known(question, judged_ms=job.created_ms)
    if answer is None:
        raise Gone("the result is no longer kept; send the request again")
    return timeseries_reply(answer, question, app)


def _note(request: HttpRequest, question: Question, job: Job) -> None:
    """Have the log line tell of the job, whose points are not always loaded."""
    request.notes.update({**about(question), "points": job.points_count})


async def follow_job(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Tell of a job's changes until it has ended."""
    job = await app.jobs.get_job_status(request.captured[0], caller)
    return Reply(
        status=200,
        headers=[("Content-Type", "text/event-stream"), NO_STORE],
        rest=app.jobs.events(job),
    )


async def read_dlq_stats(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Count the chunks that have failed for good."""
    return json_reply(await app.jobs.dlq_stats(), 200, [NO_STORE])


async def list_dlq_failures(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """List the chunks that have failed for good, the latest first."""
    values = parse_page_query(request.query, p.LIMIT)
    return json_reply(await app.jobs.dlq_failures(values["limit"]), 200, [NO_STORE])


async def retry_dlq_failure(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Put a failed job back."""
    job = await app.jobs.retry_job(request.captured[0], caller)
    return json_reply(job.document(), 202, [("Location", f"/api/jobs/{job.job_id}"), NO_STORE])


async def run_maintenance(request: HttpRequest, app: App, caller: Caller) -> Reply:
    """Do what the cron handler does."""
    done = await app.maintenance.run()
    return json_reply(done, 200, [NO_STORE], steps=done["steps"])
