"""
The upstream quota as values: what a minute allows, and how it falls and recovers.

Separate and pure because the statement that grants requests and the statistics that show the state
must agree on it.
"""

from __future__ import annotations

import msgspec

from building_vitals.instants import MINUTE_MS

# Tenths of a minute's requests that queued work may have; the rest waits for interactive requests.
QUEUED_TENTHS = 7
# Share of the limit that is regained in each minute after the upstream's 429.
RECOVERY_SHARE = 0.1
# 429s that come together are one sign, not many.
FALL_MS = 10_000
# Nobody is kept waiting longer because of one Retry-After.
CLOSED_MS_MAX = 120_000
# A grant is this share of a minute's requests, so that few of them lie unused in an idle isolate.
GRANT_SHARE = 0.05
GRANT_MAX = 10


def minute_of(now_ms: int) -> int:
    """Return the start of the minute of an instant."""
    return now_ms - now_ms % MINUTE_MS


def recovery(limit: int) -> int:
    """Return how many requests a minute are regained in each minute."""
    return max(1, int(limit * RECOVERY_SHARE))


def grant_size(limit: int) -> int:
    """Return how many requests are granted at once."""
    return min(GRANT_MAX, max(1, int(limit * GRANT_SHARE)))


class QuotaState(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the database knows of the quota.

    Attributes:
        minute_ms: The minute that *used* counts.
        used: Requests granted in it.
        allowed: Requests a minute, at that minute.
        closed_until_ms: Nobody may send before.
    """

    minute_ms: int
    used: int
    allowed: int
    closed_until_ms: int

    def used_now(self, now_ms: int) -> int:
        """Return the requests granted in the present minute."""
        return self.used if self.minute_ms >= minute_of(now_ms) else 0

    def allowed_now(self, limit: int, now_ms: int) -> int:
        """Return the requests that the present minute allows."""
        minutes = max(0, minute_of(now_ms) - self.minute_ms) // MINUTE_MS
        return max(1, min(limit, self.allowed + recovery(limit) * minutes))
