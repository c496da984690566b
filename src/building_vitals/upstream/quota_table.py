"""The upstream quota in D1: one row that all isolates share."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from building_vitals.instants import MINUTE_MS, SKEW_MS
from building_vitals.ports import Database, Statement
from building_vitals.upstream.quota import CLOSED_MS_MAX, QUEUED_TENTHS, QuotaState, recovery

# D1 binds each number as a fraction, and a strict table takes none: halves and shares are cast.

# What lies further ahead was written before the clock was set back: it counts for nothing.
_IS_PAST = f"(minute_ms < ?1 OR minute_ms > ?1 + {MINUTE_MS})"

_BEGIN = """
INSERT OR IGNORE INTO upstream_quota (
    id, minute_ms, used, used_queued, allowed, granted, fell_ms, closed_until_ms
) VALUES (1, 0, 0, 0, ?1, 0, 0, 0)
"""

# Grants as many of ?2 requests as there is room for, in the minute ?1. ?3: the limit; ?4: whether
# for jobs; ?5: now; ?6: the recovery per minute. No row changes where there is no room.
_TAKE = f"""
UPDATE upstream_quota SET
    minute_ms = CASE WHEN {_IS_PAST} THEN ?1 ELSE minute_ms END, allowed = n.allowed,
    granted = min(?2, n.room), used = n.used + min(?2, n.room),
    used_queued = n.used_queued + CASE WHEN ?4 THEN min(?2, n.room) ELSE 0 END
FROM (
    SELECT used, used_queued, allowed,
        min(allowed - used, CASE WHEN ?4
            THEN max(1, CAST(allowed * {QUEUED_TENTHS} / 10 AS INTEGER)) - used_queued
            ELSE allowed END) AS room
    FROM (
        SELECT CASE WHEN {_IS_PAST} THEN 0 ELSE used END AS used,
            CASE WHEN {_IS_PAST} THEN 0 ELSE used_queued END AS used_queued,
            CAST(
                max(1, min(?3, allowed + ?6 * (max(0, ?1 - minute_ms) / {MINUTE_MS}))) AS INTEGER
            ) AS allowed
        FROM upstream_quota
        WHERE id = 1 AND closed_until_ms NOT BETWEEN ?5 + 1 AND ?5 + {CLOSED_MS_MAX}
    )
) n
WHERE id = 1 AND n.room >= 1
RETURNING granted
"""  # noqa: S608 - constants only

_STATE = "SELECT minute_ms, used, allowed, closed_until_ms FROM upstream_quota WHERE id = 1"

# Halves `allowed`, unless it was halved within ?3 ms; closes the gate until ?4.
_FALL = f"""
UPDATE upstream_quota SET
    allowed = CASE WHEN fell_ms NOT BETWEEN ?2 - ?3 + 1 AND ?2 + {SKEW_MS}
        THEN max(1, CAST(min(allowed, ?1) / 2 AS INTEGER)) ELSE allowed END,
    fell_ms = CASE WHEN fell_ms NOT BETWEEN ?2 - ?3 + 1 AND ?2 + {SKEW_MS}
        THEN ?2 ELSE fell_ms END,
    closed_until_ms = CASE WHEN closed_until_ms <= ?2 + {CLOSED_MS_MAX}
        THEN max(closed_until_ms, ?4) ELSE ?4 END
WHERE id = 1
"""  # noqa: S608 - constants only


class GrantResult(NamedTuple):
    """
    The outcome of asking for requests.

    Attributes:
        granted: Requests that may be sent in this minute; 0 for none.
        state: The quota after the grant.
    """

    granted: int
    state: QuotaState


class UpstreamQuotas:
    """Grants requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, requests: int, *, limit: int, is_queued: bool, minute_ms: int, now_ms: int
    ) -> GrantResult:
        """
        Ask for requests; the database grants as many as there is room for.

        Args:
            requests: Their number.
            limit: Requests per minute while the upstream answers no 429.
            is_queued: Whether jobs send them, which may not use the whole quota.
            minute_ms: Start of the present minute.
            now_ms: The present instant.
        """
        values = (minute_ms, requests, limit, int(is_queued), now_ms, recovery(limit))
        outcomes = await self._database.batch(
            [Statement(_BEGIN, (limit,)), Statement(_TAKE, values), Statement(_STATE)]
        )
        rows = outcomes[1].rows
        granted = int(rows[0]["granted"]) if rows else 0
        return GrantResult(granted, msgspec.convert(outcomes[2].rows[0], QuotaState))

    async def fall(self, *, limit: int, now_ms: int, fall_ms: int, closed_until_ms: int) -> None:
        """Allow half, unless that was done less than *fall_ms* ago; allow nothing for a while."""
        values = (limit, now_ms, fall_ms, closed_until_ms)
        await self._database.batch([Statement(_FALL, values)])

    @staticmethod
    def state_statement() -> Statement:
        """Return the statement whose rows `state_of` reads."""
        return Statement(_STATE)

    @staticmethod
    def state_of(rows: list[dict[str, int]]) -> QuotaState | None:
        """Return the state in the rows of a state statement; None before the first grant."""
        return msgspec.convert(rows[0], QuotaState) if rows else None
