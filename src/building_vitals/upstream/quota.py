"""
The upstream quota as values: the requests per minute, and how they fall and recover.

Separate and pure because the statement that grants requests and the statistics that show the state
must agree on it.
"""

from __future__ import annotations

import msgspec

from building_vitals.instants import MINUTE_MS

# Tenths of a minute's requests that jobs may have; the rest is kept for interactive requests.
QUEUED_TENTHS = 7
# Share of the limit that each minute after the upstream's 429 gives back.
RECOVERY_SHARE = 0.1
# The quota falls once for all 429s within this time.
FALL_MS = 10_000
# The longest Retry-After that closes the gate for all requests.
CLOSED_MS_MAX = 120_000
# A grant is this share of a minute's requests, so that an idle isolate leaves few unused.
GRANT_SHARE = 0.05
GRANT_MAX = 10


def minute_of(now_ms: int) -> int:
    """Return the start of the minute of an instant."""
    return now_ms - now_ms % MINUTE_MS


def recovery(limit: int) -> int:
    """Return by how many requests per minute the quota recovers in each minute."""
    return max(1, int(limit * RECOVERY_SHARE))


def grant_size(limit: int) -> int:
    """Return how many requests are granted at once."""
    return min(GRANT_MAX, max(1, int(limit * GRANT_SHARE)))


class QuotaState(msgspec.Struct, frozen=True, kw_only=True):
    """
    The quota as the database has it.

    Attributes:
        minute_ms: Start of the minute that *used* counts.
        used: Requests granted in that minute.
        allowed: Requests per minute, at that minute.
        closed_until_ms: No request may be sent before.
    """

    minute_ms: int
    used: int
    allowed: int
    closed_until_ms: int

    def used_now(self, now_ms: int) -> int:
        """Return the requests granted in the present minute."""
        minute_ms = minute_of(now_ms)
        return self.used if minute_ms <= self.minute_ms <= minute_ms + MINUTE_MS else 0

    def allowed_now(self, limit: int, now_ms: int) -> int:
        """Return the requests that the present minute allows."""
        minutes = max(0, minute_of(now_ms) - self.minute_ms) // MINUTE_MS
        return max(1, min(limit, self.allowed + recovery(limit) * minutes))
