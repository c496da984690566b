"""
What an answer may show of a site that is followed.

Pure. What rounds have read is trusted as long as the site is followed, whatever its age. So an
answer may be as old as the follow, but of no sample older than the last round that has read it.
What came after the last round may be missing, unless `fresh` asks for it or the rounds are late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaos.haste import LATENESS_S
from chaos.oracle import CLOCK_MS, LOOK_UP_MS, Truth

if TYPE_CHECKING:
    from chaos.rules import Inquiry

# So long an isolate believes what it has read of follows.
REMEMBERED_MS = 5_000
HEALTHY_ROUNDS = 2
LATENESS_MS = 1_000 * LATENESS_S


@dataclass(frozen=True, slots=True)
class FollowRule:
    """
    The rule for one answer.

    Attributes:
        begun_ms: When the site was first followed. What was fetched before is judged as ever; only
            what was trusted then of an earlier follow counts as read by this one.
        lag_ms: How old the last round may be while charts leave the rest to the next one.
        known_until_ms: The end of the last round, by the answer; None where it does not say.
        is_fresh: Whether what came after the last round was asked for.
    """

    begun_ms: int
    lag_ms: int
    known_until_ms: int | None
    is_fresh: bool

    def since_ms(self, at_ms: int, trusted_ms: int, left_ms: int) -> int:
        """
        Return the earliest moment at which what is shown of a sample may have been fetched.

        Args:
            at_ms: The sample's time.
            trusted_ms: The same by trust alone.
            left_ms: The same by trust alone when the site was first followed.
        """
        until_ms = self.known_until_ms
        if until_ms is None:
            read_ms = at_ms
        elif at_ms >= until_ms:
            return trusted_ms
        else:
            # What is younger than samples are late is read again by the next round.
            is_for_good = at_ms < until_ms - LATENESS_MS - CLOCK_MS
            read_ms = at_ms + LATENESS_MS if is_for_good else at_ms
        return min(trusted_ms, max(min(self.begun_ms, left_ms), read_ms) - CLOCK_MS)

    def young_ms(self, asked_ms: int) -> int:
        """Return the time from which on samples may be missing in an answer."""
        present_ms = asked_ms - CLOCK_MS
        if self.is_fresh:
            return present_ms
        oldest_ms = present_ms - self.lag_ms - LOOK_UP_MS
        if self.known_until_ms is None:
            return oldest_ms
        if self.known_until_ms < oldest_ms:
            # Rounds that are late leave nothing to the next one.
            return present_ms
        return min(present_ms, self.known_until_ms)


def follow_rule(truth: Truth, asked: Inquiry, meta: Mapping[str, Any] | None) -> FollowRule | None:
    """
    Return the rule for an answer; None where nobody can have taken the site for followed.

    Args:
        truth: Knows who followed what, and when.
        asked: What was asked for, and when.
        meta: What the answer says of itself; None where its format has no place for it.
    """
    since_ms = asked.asked_ms - REMEMBERED_MS - CLOCK_MS
    found = truth.followed(asked.site, since_ms, asked.answered_ms)
    if not found:
        return None
    every_ms = max(each.every_ms(since_ms, asked.answered_ms) for each in found)
    return FollowRule(
        min(each.begun_ms for each in found),
        HEALTHY_ROUNDS * every_ms,
        None if meta is None else meta.get("cache", {}).get("knownUntil"),
        asked.is_fresh,
    )


def judge_known_until(
    rule: FollowRule | None, meta: Mapping[str, Any], answered_ms: int
) -> Iterator[tuple[str, str]]:
    """Judge what an answer says of the last round."""
    until_ms = meta.get("cache", {}).get("knownUntil")
    if until_ms is None:
        return
    if rule is None:
        yield "follow", f"knownUntil is {until_ms}, and nobody follows the site"
    elif not isinstance(until_ms, int) or until_ms > answered_ms + CLOCK_MS:
        yield "follow", f"knownUntil is {until_ms!r}, answered at {answered_ms}"
