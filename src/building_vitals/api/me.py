"""`/api/me`: who asks, and what it may do."""

from __future__ import annotations

from building_vitals.access.caller import ANYBODY
from building_vitals.api import parameters as p
from building_vitals.api.documents import CallerDocument, CallerLimits
from building_vitals.api.messages import NO_STORE, Call, Reply, json_reply


async def read_me(call: Call) -> Reply:
    """Show the caller's key, its rights and its limits."""
    caller, settings = call.caller, call.app.settings
    jobs, allowance = settings.jobs, settings.allowance
    # Without keys all callers are one, and nobody is limited by what was fetched before.
    is_limited = caller.key_id != ANYBODY.key_id and allowance.at_once > 0
    limits = CallerLimits(
        points=p.POINTS_MAX,
        days=p.RANGE_DAYS_MAX,
        body_bytes=p.BODY_BYTES_MAX,
        timeout=settings.routing.direct_timeout,
        wait=p.WAIT_S_MAX,
        active_jobs=jobs.max_active_jobs,
        queued_samples=jobs.max_queued_samples,
        hourly_samples=jobs.max_hourly_samples,
        fetched_at_once=allowance.at_once if is_limited else None,
        fetched_per_minute=allowance.per_minute if is_limited else None,
    )
    document = CallerDocument(
        key_id=caller.key_id,
        role="admin" if caller.is_admin else "reader",
        sites="*" if caller.sites is None else sorted(caller.sites),
        limits=limits,
        auth_mode=settings.auth_mode,
    )
    return json_reply(document, 200, NO_STORE)
