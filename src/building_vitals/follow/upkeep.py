"""The periodic work of follows: whose message seems lost is sent another one."""

from __future__ import annotations

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.jobs.model import ChunkSender, FollowRef
from building_vitals.ports import Database
from building_vitals.upkeep import URGENT, Step

# A message may wait behind others; one that comes beside it does no harm.
QUIET_MS = 15_000
# A queue that is paused gets ever fewer of them.
SEND_AGAIN_MS, SEND_AGAIN_MS_MAX = 5 * MINUTE_MS, 6 * HOUR_MS
DOUBLINGS_MAX = 7
# As many as one call takes; the others come in the next run.
SITES_MAX = 100


class LostFollows:
    """Has followed sites read of which nothing is heard."""

    name = "follow"
    rank = URGENT

    def __init__(self, follows: SiteFollows, sender: ChunkSender) -> None:
        self._follows = follows
        self._sender = sender

    async def run(self, now_ms: int) -> int:
        """Send messages, the longest awaited first; return how many."""
        quiet = await self._follows.quiet(
            now_ms=now_ms, before_ms=now_ms - QUIET_MS, limit=SITES_MAX
        )
        if not quiet:
            return 0
        await self._sender.send([FollowRef(site) for site, _ in quiet], "low")
        await self._follows.mark_sent([(site, now_ms + _again_ms(sends)) for site, sends in quiet])
        return len(quiet)


def _again_ms(sends: int) -> int:
    """Return after how long a message counts as lost, of which so many were sent in vain."""
    return min(SEND_AGAIN_MS << min(sends, DOUBLINGS_MAX), SEND_AGAIN_MS_MAX) - QUIET_MS


def steps(database: Database, sender: ChunkSender) -> list[Step]:
    """Return the steps of the maintenance run that concern follows."""
    return [LostFollows(SiteFollows(database), sender)]
