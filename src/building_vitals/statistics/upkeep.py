"""The periodic work of statistics."""

from __future__ import annotations

from functools import partial

from building_vitals.instants import DAY_MS
from building_vitals.ports import Database
from building_vitals.statistics.requests_table import RequestAnalytics
from building_vitals.upkeep import ROUTINE, Step, repeat_rounds

REQUESTS_AT_ONCE = 2000
REQUEST_AGE_MS = 30 * DAY_MS


class OldRequests:
    """Deletes the rows and sums of requests older than 30 days."""

    name = "old requests"
    rank = ROUTINE

    def __init__(self, requests: RequestAnalytics) -> None:
        self._requests = requests

    async def run(self, now_ms: int) -> int:
        """Delete some rows, the oldest first; return how many."""
        return await repeat_rounds(
            partial(
                self._requests.delete,
                before_ms=now_ms - REQUEST_AGE_MS,
                limit=REQUESTS_AT_ONCE,
            )
        )


def steps(database: Database) -> list[Step]:
    """Return the steps of the maintenance run that concern statistics."""
    return [OldRequests(RequestAnalytics(database))]
