"""
An hour of a live chart whose samples come late, and when the rule of trust has each found.

The rule is that of `cache/freshness.py`. A sample of the time `t` that the upstream has since
`there` was missed by fetches at ages of less than `late = there - t`. What the last of them said is
trusted for `TRUST_RATIO * (late - LATENESS)` after it, at most, and for `MIN_REFETCH` in any case:
so the first reload after

    there + max(TRUST_RATIO * (late - LATENESS), 0) + MIN_REFETCH

asks again and finds it, at an age of about `3 * late - 2 * LATENESS`. Each reload is held to that
by the instant at which it was sent, so that a busy machine makes reloads rarer, and no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

SECOND_MS, MINUTE_MS, HOUR_MS = 1000, 60_000, 3_600_000
RATIO, LATENESS_MS, MIN_REFETCH_MS = 2, MINUTE_MS, 5 * SECOND_MS
# A sample a minute, late by turns.
STEP_MS = MINUTE_MS
LATE_MS = (6 * SECOND_MS, MINUTE_MS, 20 * MINUTE_MS)
# How often a chart reloads, and what it shows.
RELOADS_MS = (2 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS)
SHOWN_MS = 90 * MINUTE_MS
# The Worker knows the present up to a whole second, remembers a look at its index for another, and
# its clock stands still between two events.
SLACK_MS = 3 * SECOND_MS


class Reload(NamedTuple):
    """
    One answer.

    Attributes:
        sent_ms: When it was asked for: SHOWN_MS up to then.
        times: Of its samples.
    """

    sent_ms: int
    times: frozenset[int]


def late_ms(at_ms: int) -> int:
    """Return how late the sample of a time comes."""
    return LATE_MS[at_ms // STEP_MS % len(LATE_MS)]


def found_by_ms(at_ms: int, there_ms: int) -> int:
    """Return after which instant each reload must have a sample, by the rule."""
    trusted_ms = max(0, RATIO * (there_ms - at_ms - LATENESS_MS))
    return there_ms + trusted_ms + MIN_REFETCH_MS + SLACK_MS


def faults_of(reloads: Iterable[Reload], there_ms: Mapping[int, int]) -> list[str]:
    """
    Return what the rule forbids: samples that were not found in time, or got lost again.

    Args:
        reloads: Of one chart, one after the other.
        there_ms: Since when the upstream has each sample, by its time.
    """
    faults = []
    seen: set[int] = set()
    for reload in reloads:
        shown = range(reload.sent_ms - SHOWN_MS, reload.sent_ms)
        lost = {at_ms for at_ms in seen - reload.times if at_ms in shown}
        overdue = {
            at_ms
            for at_ms, since_ms in there_ms.items()
            if at_ms in shown and found_by_ms(at_ms, since_ms) < reload.sent_ms
        }
        for what, times in (("lost", lost), ("not found", overdue - reload.times - lost)):
            faults += [
                f"{what} at an age of {(reload.sent_ms - at_ms) / SECOND_MS:.0f} s,"
                f" late by {(there_ms[at_ms] - at_ms) / SECOND_MS:.0f} s"
                for at_ms in sorted(times)
            ]
        seen |= reload.times
    return faults


def unseen_ms(reloads: Sequence[Reload], there_ms: Mapping[int, int]) -> dict[int, list[int]]:
    """Return how long samples were there and unseen that came while somebody looked, by LATE_MS."""
    found: dict[int, int] = {}
    for reload in reloads:
        for at_ms in reload.times:
            if there_ms[at_ms] > reloads[0].sent_ms:
                found.setdefault(at_ms, max(0, reload.sent_ms - there_ms[at_ms]))
    return {
        each_ms: [waited_ms for at_ms, waited_ms in found.items() if late_ms(at_ms) == each_ms]
        for each_ms in LATE_MS
    }


def distinct_times(reloads: Iterable[Reload]) -> int:
    """Return how many samples were seen."""
    return len(frozenset[int]().union(*(each.times for each in reloads)))


def described(reloads: Sequence[Reload], there_ms: Mapping[int, int], every_ms: int) -> str:
    """Return in a few words how long samples were unseen."""
    waits = "; ".join(
        f"late by {each_ms // SECOND_MS} s: {len(found)}, unseen for at most"
        f" {max(found, default=0) / SECOND_MS:.0f} s"
        for each_ms, found in unseen_ms(reloads, there_ms).items()
    )
    return f"reloads each {every_ms // SECOND_MS} s: {len(reloads)} answers; {waits}"
