"""
How far what was fetched is still known: the one place that decides it, in Python and in SQL.

A sample that was old when it was fetched will hardly change, a young one may be joined by late ones
or be corrected: trust grows with age. Of a segment fetched at `f` those instants `t` are known at
`now` for which

    now - f <= ratio * (f - t - lateness), and at most the longest trust

so what is known is a prefix that shrinks from its young end. It is rounded down to an age at which
the frames of a fetch close (`CLOSING_AGES_MS`, and there to `CLOSING_STEP_MS`), so that no frame is
inflated where an old segment meets a younger one.

Of two fetches the later one is known wherever the earlier is, before rounding. So the newest copy
of an instant decides about it (`coverage`), and nobody ever sees an older one again.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from building_vitals.cache.followed import Followed
from building_vitals.cache.segments import Segment
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range

# How old samples are, when they are fetched, at whose instants a frame closes.
CLOSING_AGES_MS = (
    *(5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 16 * HOUR_MS),
    *(64 * HOUR_MS, 256 * HOUR_MS, 1_024 * HOUR_MS, 4_096 * HOUR_MS, 16_384 * HOUR_MS),
)
# They close at multiples of this: charts that reload oftener ask again from the same instant on, so
# that one fetch takes the place of the other, and does not leave a row of the index beneath.
CLOSING_STEP_MS = 30_000
# Requests that come within so short a time are one moment: what was fetched for one of them is as
# new as what another could fetch.
MOMENT_MS = 1_000
# Of a site of which nothing has been learned yet.
LATENESS_MS = MINUTE_MS
# The last access of an object is noted this many times in the age at which the clean-up may delete.
NOTES_PER_AGE = 8


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """
    The rule, with the values of the configuration.

    Attributes:
        trust_ratio: How many times longer than its age when fetched a sample is trusted; above 0.
        trust_max_ms: The longest that it is trusted.
        lateness_ms: How late samples come, as a rule.
        is_learned: Whether the lateness of a site is what has been learned of it.
        grace_ms: How much longer it may stand in when the upstream fails.
        max_age_ms: How long nobody must have read what the clean-up may delete.
        followed: What a follow of the site has read; None where it has none.
    """

    trust_ratio: float
    trust_max_ms: int
    lateness_ms: int = LATENESS_MS
    is_learned: bool = False
    grace_ms: int
    max_age_ms: int
    followed: Followed | None = None

    def of_site(self, lateness_ms: int | None) -> Freshness:
        """
        Return the rule for a site, by the lateness that was learned of it; None for none yet.

        That is what is certain, so it never makes the usual minute less: with 0, what was 5 minutes
        old would be trusted for two more, and a chart that reloads as often find holes between its
        segments, each of which is a request.
        """
        if lateness_ms is None or not self.is_learned:
            return self
        return msgspec.structs.replace(self, lateness_ms=max(self.lateness_ms, lateness_ms))

    def known_until_ms(self, segment: Segment, now_ms: int, since_ms: int | None = None) -> int:
        """
        Return where the part of a segment ends that is known; its start where nothing is.

        What was fetched at *since_ms* or later is known to its end: who asks has waited for it.
        Left out, that is the present.
        """
        until_ms = self._trusted_part_ms(segment, now_ms, since_ms)
        if self.followed is None or until_ms >= segment.end_ms:
            return until_ms
        return self.followed.known_until_ms(segment, until_ms)

    def _trusted_part_ms(self, segment: Segment, now_ms: int, since_ms: int | None) -> int:
        """Return the same by trust alone."""
        since_ms = now_ms if since_ms is None else min(since_ms, now_ms)
        age_ms = now_ms - segment.fetched_ms
        if segment.fetched_ms >= since_ms - MOMENT_MS or self._trusts(
            segment.fetched_ms - segment.end_ms, age_ms
        ):
            return segment.end_ms
        for closing_ms in CLOSING_AGES_MS:
            if self._trusts(closing_ms, age_ms):
                return max(segment.start_ms, closing_at(segment.fetched_ms, closing_ms))
        return segment.start_ms

    def kept_until_ms(self, segment: Segment, now_ms: int, since_ms: int | None = None) -> int:
        """Return the same of what may stand in: what was known a grace ago."""
        earlier_ms = now_ms - self.grace_ms
        if since_ms is not None:
            since_ms = min(since_ms, earlier_ms)
        return self.known_until_ms(segment, earlier_ms, since_ms)

    def is_known(self, segment: Segment, now_ms: int) -> bool:
        """Return whether some of a segment is known."""
        return self.known_until_ms(segment, now_ms) > segment.start_ms

    def trusted_until_ms(self, segment: Segment, end_ms: int) -> int:
        """Return up to when a segment is known as far as *end_ms*, an instant of it or its end."""
        old_ms = segment.fetched_ms - segment.end_ms
        closed = bisect_right(CLOSING_AGES_MS, segment.fetched_ms - end_ms)
        if closed:
            old_ms = max(old_ms, CLOSING_AGES_MS[closed - 1])
        trust_ms = self.trust_ratio * (old_ms - self.lateness_ms)
        return segment.fetched_ms + int(max(MOMENT_MS, min(self.trust_max_ms, trust_ms)))

    def gone_ms(self, segment: Segment, accessed_ms: int = 0) -> int:
        """
        Return when the clean-up may delete a segment; `gone_sql` says the same in SQL.

        Nothing of it is known then, nor may stand in, whatever the site's lateness; or its object
        was last read so long ago, by the last note of it. Without an object, that is the fetch.
        """
        return min(
            segment.fetched_ms + self._longest_ms(segment.fetched_ms - segment.start_ms),
            max(segment.fetched_ms, accessed_ms) + self._unread_ms,
        )

    @property
    def note_every_ms(self) -> int:
        """How often the last access of an object is noted, at the most."""
        return max(1, self.max_age_ms // NOTES_PER_AGE)

    @property
    def sql_values(self) -> tuple[float, int, int]:
        """The values of the parameters in `is_whole_sql`, behind the present."""
        return self.trust_ratio, self.trust_max_ms, self.lateness_ms

    @property
    def clean_up_values(self) -> tuple[float, int, int, int]:
        """The values of the parameters in `spent_sql` and `gone_sql`."""
        return self.trust_ratio, self.trust_max_ms, self.grace_ms, self._unread_ms

    @property
    def _unread_ms(self) -> int:
        # The last access is noted so seldom that it may have been so much later.
        return self.max_age_ms + self.note_every_ms

    def _longest_ms(self, old_ms: int) -> int:
        """Return how long something is known and stands in that was so old when it was fetched."""
        trust_ms = max(MOMENT_MS, min(self.trust_max_ms, int(self.trust_ratio * old_ms)))
        return trust_ms + self.grace_ms

    def _trusts(self, old_ms: int, age_ms: int) -> bool:
        """Return whether what was so old when it was fetched is known an age later."""
        return (
            age_ms <= self.trust_ratio * (old_ms - self.lateness_ms) and age_ms <= self.trust_max_ms
        )


def closing_at(fetched_ms: int, age_ms: int) -> int:
    """Return the instant at which a frame of a fetch closes, for one of CLOSING_AGES_MS."""
    return (fetched_ms - age_ms) // CLOSING_STEP_MS * CLOSING_STEP_MS


def closings(time_range: Range, fetched_ms: int) -> list[int]:
    """Return the instants within a range at which the frames of a fetch close, ascending."""
    found = (closing_at(fetched_ms, each) for each in reversed(CLOSING_AGES_MS))
    return [each for each in found if time_range.start_ms < each < time_range.end_ms]


def is_whole_sql(first: int) -> str:
    """
    Return whether all of a segment is known, as an SQL expression over a row of `cache_segments`.

    Args:
        first: Number of the first of its parameters: the present, then `Freshness.sql_values`.
    """
    now, ratio, trust_max, lateness = (f"?{first + n}" for n in range(4))
    age = f"{now} - fetched_ms"
    return (
        f"(fetched_ms >= {now} - {MOMENT_MS}"
        f" OR ({age} <= {ratio} * (fetched_ms - end_ms - {lateness}) AND {age} <= {trust_max}))"
    )


def closing_sql(first: int) -> str:
    """
    Return where the part of a segment ends that is known, in the same way; its parameters, too.

    That is the closing, be it before the segment begins; NULL where nothing is known. It does not
    matter for a segment of which all is known.
    """
    now, ratio, trust_max, lateness = (f"?{first + n}" for n in range(4))
    age, step = f"{now} - fetched_ms", CLOSING_STEP_MS
    closings = " ".join(
        f"WHEN {age} <= {ratio} * ({old_ms} - {lateness})"
        f" THEN (fetched_ms - {old_ms}) / {step} * {step}"
        for old_ms in CLOSING_AGES_MS
    )
    return f"CASE WHEN {age} > {trust_max} THEN NULL {closings} END"


def spent_sql(first: int) -> str:
    """
    Return when nothing of a segment is known, nor may stand in, as `is_whole_sql` returns SQL.

    Args:
        first: Number of the first of its parameters, whose values are `Freshness.clean_up_values`.
    """
    ratio, trust_max, grace = (f"?{first + n}" for n in range(3))
    trust = f"CAST({ratio} * (fetched_ms - start_ms) AS INTEGER)"
    whole = f"fetched_ms + max({MOMENT_MS}, min({trust_max}, {trust})) + {grace}"
    return f"CAST({whole} AS INTEGER)"


def gone_sql(first: int, accessed: str) -> str:
    """
    Return `Freshness.gone_ms` in the same way.

    Args:
        first: As that of `spent_sql`.
        accessed: An expression for when the object was last read.
    """
    return f"min({spent_sql(first)}, {unread_sql(first, accessed)})"


def unread_sql(first: int, accessed: str) -> str:
    """
    Return when nobody has read a segment for so long that it may go, in the same way.

    The arguments are those of `gone_sql`.
    """
    return f"CAST(max(fetched_ms, {accessed}) + ?{first + 3} AS INTEGER)"
