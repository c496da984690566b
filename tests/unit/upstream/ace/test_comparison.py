"""Whether calls by point give what pages give, told from a few minutes of both."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.instants import DAY_MS, MINUTE_MS, format_instant
from building_vitals.ranges import Range
from building_vitals.upstream.ace.comparison import NAMES_MAX, WINDOW_MS, Tail, compare, tail_of
from building_vitals.upstream.ace.wire import Page, WireSample

NOW_MS = 1_735_689_600_000
DAY = Range(NOW_MS, NOW_MS + DAY_MS)


def at(minutes: float) -> str:
    """Return a time some minutes into the day."""
    return format_instant(NOW_MS + round(minutes * MINUTE_MS))


def rows(*samples: tuple[str, float, Any]) -> list[WireSample]:
    """Return samples of names, minutes and values."""
    return [WireSample(name, value, at(minutes)) for name, minutes, value in samples]


def every(
    step: float, names: str = "ab", *, until: float = 60, value: Any = "1"
) -> list[WireSample]:
    """Return a sample of each name every some minutes, to the hour and included."""
    count = round(until / step)
    return rows(*((name, step * n, value) for n in range(count + 1) for name in names))


def tail(step: float = 5, names: str = "ab") -> Tail:
    """Return the tail of an hour by point."""
    found = tail_of(every(step, names), DAY)
    assert found is not None
    return found


def within(found: Tail, samples: list[WireSample]) -> list[WireSample]:
    """Return what the upstream gives for the range of a tail, and a little before."""
    start_ms, end_ms = found.time_range
    bounds = format_instant(start_ms - 1_000), format_instant(end_ms)
    return [sample for sample in samples if bounds[0] <= sample.time < bounds[1]]


def test_tail_is_the_last_minutes_of_a_few_points() -> None:
    """All samples of the window's points, and no others."""
    found = tail(5, "abcdefgh")

    assert tuple("abcde") == found.names
    assert NAMES_MAX == len(found.names)
    assert Range(NOW_MS + 50 * MINUTE_MS + 1, NOW_MS + 60 * MINUTE_MS + 1) == found.time_range
    assert {at(55), at(60)} <= {sample.time for sample in found.samples} <= {at(50), at(55), at(60)}
    assert set(found.names) == {sample.name for sample in found.samples}


def test_tail_does_not_reach_beyond_what_was_asked_for() -> None:
    """A live chart asks for a minute or two: nothing is known of what lies before."""
    part = Range(NOW_MS + 58 * MINUTE_MS, NOW_MS + 60 * MINUTE_MS)
    found = tail_of(every(1, until=59), part)

    assert found is not None
    assert Range(part.start_ms, NOW_MS + 59 * MINUTE_MS + 1) == found.time_range
    finding = compare(found, Page(within(found, every(1)), None, False))
    assert finding is not None
    assert finding.is_same is True


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param([], id="nothing"),
        pytest.param([WireSample("a", 1, "noon")], id="a time that can't be read"),
        pytest.param(rows(("a", -60, 1)), id="nothing of the part"),
    ],
)
def test_no_tail(samples: list[WireSample]) -> None:
    """Where an answer tells nothing, nothing is compared."""
    assert tail_of(samples, DAY) is None


def test_the_same_samples() -> None:
    """Written as text or number, in any order: the same instants with the same values."""
    found = tail(5)
    page = within(found, every(5, value=1))[::-1]
    finding = compare(found, Page(page, None, False))

    assert finding is not None
    assert (True, True, None) == (
        finding.is_filter_heeded,
        finding.is_same,
        finding.samples_per_day,
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(every(1), id="5-minute values of raw samples of each minute"),
        pytest.param(every(5, value="2"), id="other values"),
        pytest.param(rows(("a", 59.5, "1"), ("a", 54.5, "1")), id="other instants"),
    ],
)
def test_other_samples(raw: list[WireSample]) -> None:
    """One sample more, less or different is a difference."""
    found = tail(5)
    finding = compare(found, Page(within(found, raw), None, False))

    assert finding is not None
    assert finding.is_same is False


def test_filter_that_is_not_heeded_tells_the_rate_of_the_site() -> None:
    """Other points on the page: it holds the whole site, and its samples can be counted."""
    found = tail(5)
    page = within(found, every(5, "abcdefghij"))
    finding = compare(found, Page(page, None, False))

    assert finding is not None
    assert (False, True) == (finding.is_filter_heeded, finding.is_same)
    assert finding.samples_per_day == pytest.approx(20 * DAY_MS / WINDOW_MS)


@pytest.mark.parametrize(
    ("minutes", "is_told"), [pytest.param(0, False, id="a moment"), (3, False), (5, True)]
)
def test_a_short_look_tells_no_rate(minutes: int, *, is_told: bool) -> None:
    """A gap of a minute that begins with a sample: all points at once, in one millisecond."""
    end_ms = NOW_MS + 60 * MINUTE_MS
    found = tail_of(every(1), Range(end_ms - (minutes + 1) * MINUTE_MS, end_ms))
    assert found is not None
    finding = compare(found, Page(within(found, every(1, "abcdefghij")), None, False))
    assert finding is not None
    assert (False, True) == (finding.is_filter_heeded, finding.is_same)
    assert is_told == (finding.samples_per_day is not None)


def test_page_that_has_more_is_compared_as_far_as_it_goes() -> None:
    """The moment that a page ends in may go on in the next."""
    found = tail(1)
    whole = within(found, every(1, "abcd"))
    cut = whole[: len(whole) // 2 + 1]
    finding = compare(found, Page(cut, "x", True))

    assert finding is not None
    assert finding.is_same is True
    assert finding.samples_per_day == pytest.approx(4 * DAY_MS / MINUTE_MS, rel=0.3)


def test_page_of_one_moment_that_has_more_tells_nothing_but_the_filter() -> None:
    """Nothing of it is whole."""
    found = tail(5)
    finding = compare(found, Page(rows(("c", 50.1, 1)), "x", True))
    first = compare(found, Page(rows(("c", 50, 1)), "x", True))

    assert finding is not None
    assert first is not None
    assert (None, None) == (finding.is_same, first.is_same)
    assert first.samples_per_day is None


def test_empty_page_shows_nothing() -> None:
    """Not even whether the filter is heeded."""
    assert compare(tail(), Page([], None, False)) is None


def test_points_that_are_not_on_the_page_are_not_compared() -> None:
    """Where no point came both ways, nothing says whether they are the same."""
    found = tail(5)
    finding = compare(found, Page(within(found, every(5, "xy")), None, False))

    assert finding is not None
    assert finding.is_same is None


def test_times_that_cannot_be_read_are_left_out() -> None:
    """One bad row is not a difference."""
    found = tail(5)
    page = [*within(found, every(5)), WireSample("a", 1, "noon")]
    finding = compare(found, Page(page, None, False))

    assert finding is not None
    assert finding.is_same is True
