"""Health, and the administrators' endpoints: statistics, cache, failed chunks, maintenance."""

from __future__ import annotations

from building_vitals.api.documents import PurgeAnswer
from building_vitals.api.messages import NO_STORE, Call, Reply, json_reply
from building_vitals.api.requests import parse_cache_purge_query
from building_vitals.jobs.documents import job_document


async def read_health(call: Call) -> Reply:
    """Show the health of the Worker and its bindings."""
    health = await call.app.health.check()
    return json_reply(health, 200 if health.status == "healthy" else 503, NO_STORE)


async def read_statistics(call: Call) -> Reply:
    """Show the statistics."""
    return json_reply(await call.app.statistics.read(), 200, NO_STORE)


async def read_upstream(call: Call) -> Reply:
    """Show what has been learned of the upstream."""
    return json_reply(await call.app.upstream_report.read(), 200, NO_STORE)


async def list_cache_objects(call: Call) -> Reply:
    """List a page of the bucket's objects."""
    values = call.values()
    return json_reply(
        await call.app.cache_admin.list_objects(
            prefix=values["prefix"], limit=values["limit"], cursor=values["cursor"] or None
        )
    )


async def purge_cache(call: Call) -> Reply:
    """Delete the stored samples of a site, of some points, of a range."""
    request = call.request
    query = parse_cache_purge_query(request.query, call.parameters, request.started_ms)
    call.facts.site = query.site
    deleted = await call.app.cache_admin.purge(query.site, query.points, query.time_range)
    return json_reply(PurgeAnswer(deleted))


async def read_dlq_stats(call: Call) -> Reply:
    """Count the failed chunks."""
    return json_reply(await call.app.jobs.dlq_stats(), 200, NO_STORE)


async def list_dlq_failures(call: Call) -> Reply:
    """List the failed chunks, the latest first."""
    return json_reply(await call.app.jobs.dlq_failures(**call.values()), 200, NO_STORE)


async def retry_dlq_failure(call: Call) -> Reply:
    """Queue the failed chunks of a job again."""
    job = await call.app.jobs.retry_job(call.captured[0], call.caller)
    location = ("Location", f"/api/jobs/{job.job_id}")
    return json_reply(job_document(job), 202, location, NO_STORE)


async def run_maintenance(call: Call) -> Reply:
    """Run the steps of the cron trigger."""
    done = await call.app.maintenance.run()
    call.facts.steps = done.steps
    return json_reply(done, 200, NO_STORE)
