"""The part of the composition that follows sites: apart because few invocations need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.runner import FollowRunner
from building_vitals.follow.service import FollowService

if TYPE_CHECKING:
    from building_vitals.app import App


def follow_service(app: App) -> FollowService:
    """Return what follows sites, says how that goes, and ends it."""
    return FollowService(
        follows=SiteFollows(app.platform.database),
        lists=app.sites,
        keeper=app.blocks,
        purge=lambda site: app.cache_admin.purge(site, None, None),
        sender=app.platform.queues,
        freshness_of=app.freshness_of,
        on_change=app.isolate.follows.forget,
        invocation=app.invocation,
    )


def follow_runner(app: App) -> FollowRunner:
    """Return what reads followed sites."""
    return FollowRunner(
        database=app.statements,
        upstream=app.source,
        keeper=app.blocks,
        sender=app.platform.queues,
        lateness_of=lambda site: app.freshness_of(site).lateness_ms,
        on_change=app.isolate.follows.forget,
        invocation=app.invocation,
    )
