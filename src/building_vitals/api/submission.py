"""A large request becomes a job."""

from __future__ import annotations

from building_vitals.access.caller import Caller
from building_vitals.answers.question import TimeseriesRequest
from building_vitals.api.messages import Reply, json_reply
from building_vitals.app import App
from building_vitals.jobs.service import POLL_INTERVAL_MS


async def queue_request(
    samples_request: TimeseriesRequest, estimated: int, app: App, caller: Caller
) -> Reply:
    """Make a request a job, and say where to ask for it."""
    await app.limits.admit_job(caller)
    queued = await app.jobs.queue_large_request(samples_request, caller, estimated)
    if queued.is_new:
        app.analytics.record_queued_job(queued.job_id)
    url = f"/api/jobs/{queued.job_id}"
    document = {
        "status": "queued",
        "jobId": queued.job_id,
        "message": "the request is large and runs in the background; ask statusUrl for its state"
        if queued.is_new
        else "the same request is running in the background already",
        "statusUrl": url,
        "pollInterval": POLL_INTERVAL_MS,
        "estimatedSamples": estimated,
    }
    headers = [
        ("Location", url),
        ("Retry-After", str(POLL_INTERVAL_MS // 1000)),
        ("X-Route-Type", "queued"),
        ("Cache-Control", "no-store"),
    ]
    return json_reply(
        document,
        202,
        headers,
        route="queued",
        site=samples_request.site,
        points=len(samples_request.points),
        estimated=estimated,
        jobId=queued.job_id,
        isNew=queued.is_new,
    )
