"""What an attempt does about leases in its way."""

from __future__ import annotations

import pytest

from building_vitals.cache.attempt import Attempt
from building_vitals.cache.failures import encoded, shared_failure
from building_vitals.cache.fetcher import FetchOutcome
from building_vitals.cache.holder import Came
from building_vitals.cache.lease import OtherLease
from building_vitals.cache.need import Need
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.errors import UpstreamError
from building_vitals.ranges import Range
from building_vitals.series.frames import Series
from fakes.costs import SteadyCosts

DAY = Range(0, 86_400_000)
NOW_MS = 200_000_000
MISSING = {"a": [DAY]}


def segment(point: str, start_ms: int, end_ms: int) -> Segment:
    """Return a segment."""
    return segment_of(
        point, Range(start_ms, end_ms), Series((), b""), fetched_ms=0, key="", offset=0
    )


def attempt(*, is_background: bool = False) -> Attempt:
    """Return an attempt at one point and one day, which takes a second."""
    need = Need("hq", ("a",), DAY, NOW_MS, NOW_MS + 30_000)
    return Attempt(
        need, "me", SteadyCosts(288), [], None, lease_ms=10_000, is_background=is_background
    )


def other(
    lease_id: str, ends_ms: int = 500, failed: str | None = None, count: int = 1
) -> OtherLease:
    """Return another's lease of the same."""
    failure = shared_failure(UpstreamError(failed or ""), now_ms=NOW_MS, begun_ms=NOW_MS)
    assert failure is not None
    return OtherLease(
        lease_id,
        ("a",),
        count,
        DAY,
        NOW_MS + 10_000,
        NOW_MS,
        NOW_MS + ends_ms,
        encoded(failure) if failed else None,
    )


@pytest.mark.parametrize("is_background", [False, True])
def test_its_lease_says_what_for_and_for_how_long(*, is_background: bool) -> None:
    """The gaps, the planned end, for whom."""
    lease = attempt(is_background=is_background).lease(MISSING, "mine", NOW_MS)
    assert ("mine", "hq", ("a",), DAY, NOW_MS + 10_000, NOW_MS, NOW_MS + 1000, is_background) == (
        *(lease.lease_id, lease.site, lease.points, lease.time_range, lease.expires_ms),
        *(lease.begun_ms, lease.ends_ms, lease.is_background),
    )


def test_it_plans_again_when_its_gaps_have_changed() -> None:
    """Less is missing: less time is needed."""
    trying = attempt()
    trying.lease({"a": [Range(0, 3 * DAY.end_ms)]}, "mine", NOW_MS)
    assert 1000 == trying.lease(MISSING, "mine", NOW_MS).ends_ms - NOW_MS


def test_it_looks_again_only_where_it_fetches() -> None:
    """What lies beside the lease stays; of what lies in it, only what was found now; what came."""
    trying = attempt()
    known = {
        "before": segment("a", 0, 10),
        "gone": segment("a", 10, 20),
        "found": segment("a", 15, 30),
        "after": segment("a", 30, 40),
        "other": segment("b", 10, 20),
        "came": segment("a", 12, 14),
    }
    trying.segments = [known[name] for name in ("before", "gone", "after", "other", "came")]
    trying.came = [known["came"]]
    lease = trying.lease({"a": [Range(10, 30)]}, "mine", NOW_MS)
    trying.look_again(lease, [known["found"]])
    expected = [known[name] for name in ("before", "after", "other", "found", "came")]
    assert expected == trying.segments


def test_people_pass_what_is_not_worth_waiting_for() -> None:
    """A job waits for all of them."""
    others = [other("near"), other("far", 50_000, count=1000)]
    for is_background, waited in ((False, ["near"]), (True, ["near", "far"])):
        trying = attempt(is_background=is_background)
        lease = trying.lease(MISSING, "mine", NOW_MS)
        assert waited == [each.lease_id for each in trying.awaited(lease, others, NOW_MS)]
        assert {"near", "far"} - set(waited) == trying.passed


def test_it_hears_of_a_failure_that_is_its_own_too() -> None:
    """One of something else is passed."""
    trying = attempt()
    others = [other("living"), other("large", failed="other", count=5), other("x", failed="mine")]
    heard = trying.heard(MISSING, others, NOW_MS)
    assert heard is not None
    assert "mine" == heard.detail
    assert {"large"} == trying.passed


def test_what_came_adds_up() -> None:
    """Two fetches for one need are one filling; what came along for others is none of its."""
    trying = attempt()
    along = [segment("z", *DAY), segment("a", DAY.end_ms, 2 * DAY.end_ms)]
    for requests, part in ((2, Range(0, 50)), (3, Range(50, DAY.end_ms + 7))):
        outcome = FetchOutcome(NOW_MS, samples=10, requests=requests, unreadable=1)
        came = Came([segment("a", *part), *along], None, outcome)
        trying.take(came, had_known=requests == 2)
    assert trying.before is not None
    assert (5, 20, 2, [DAY], True) == (
        trying.before.upstream_requests,
        trying.before.samples_fetched,
        trying.before.unreadable,
        trying.before.fetched,
        trying.before.had_known,
    )


def test_it_knows_how_late_its_looks_come() -> None:
    """By the latest ones; a clock that steps back makes none early."""
    trying, found = attempt(), []
    trying.look(NOW_MS)
    for next_ms, now_ms in ((500, 900), (1000, 1010), (5000, 4000)):
        trying.next_ms = next_ms
        trying.look(now_ms)
        found.append(trying.lag_ms)
    assert [400, 200, 100] == found
