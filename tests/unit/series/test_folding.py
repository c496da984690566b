"""Tests of folding pages into frames: what is kept, what it becomes, when a frame closes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from msgspec import UNSET

from builders import Sent, samples
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.ranges import Range
from building_vitals.series.folding import Folder, PointSeries, SampleTooOld
from building_vitals.series.frames import FRAME_SAMPLES_MAX, FRAME_SAMPLES_MIN
from building_vitals.series.splicing import inflate
from building_vitals.series.values import NumberText
from spellings import UNREADABLE_TIMES

T0 = 1_735_689_600_000  # a midnight
MINUTE_MS = 60_000
DAY = Range(T0, T0 + DAY_MS)


def text_of(fold: PointSeries) -> str:
    """Return the JSON text of all samples of a fold."""
    frames = fold.series.frames
    return inflate(fold.series.data, frames[-1].raw_end if frames else 0).decode()


def finished(folder: Folder) -> list[PointSeries]:
    """Return what is known once the upstream has given everything."""
    folder.advance(None, 10**15)
    return folder.finish()


def sent(instant_ms: int, value: Any = 1, name: str = "p") -> Sent:
    """Return a sample of an instant as the upstream sends it."""
    return Sent(name, value, format_instant(instant_ms))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("45.50", "45.50", id="number as text"),
        pytest.param(NumberText("45.50"), "45.50", id="number with its digits"),
        pytest.param(NumberText("1E-7"), "1E-7", id="exponent"),
        pytest.param("9" * 40, "9" * 40, id="40 digits"),
        pytest.param("1E400", '"1E400"', id="text beyond a double"),
        pytest.param(NumberText("1E400"), "null", id="number beyond a double"),
        pytest.param("1E-400", '"1E-400"', id="text that reads as 0"),
        pytest.param(NumberText("1E-400"), "1E-400", id="number that reads as 0"),
        pytest.param(1, "1", id="integer"),
        pytest.param(True, "true", id="true is not 1"),
        pytest.param(1.5, "1.5", id="float"),
        pytest.param(None, "null", id="null"),
        pytest.param("NaN", "null", id="NaN"),
        pytest.param("occupied", '"occupied"', id="text"),
        pytest.param("],[", '"],["', id="the samples' own separator"),
        pytest.param('say "hi"', '"say \\"hi\\""', id="quotes"),
        pytest.param("\U0001f525", '"\U0001f525"', id="emoji"),
        pytest.param("\ud800", '"\\ud800"', id="half of a surrogate pair"),
        pytest.param("", '""', id="empty text"),
        pytest.param([1, "2"], '[1,"2"]', id="list"),
    ],
)
def test_values_are_those_the_api_promises(value: Any, expected: str) -> None:
    """
    A value becomes its JSON text, digits untouched, the second time (from memory) as the first.
    """
    folder = Folder(["p"], DAY)
    folder.add_page([sent(T0, value), sent(T0 + 1, value)])
    [fold] = finished(folder)

    assert text_of(fold) == f"[{T0},{expected}],[{T0 + 1},{expected}]"


def test_equal_values_of_different_types_stay_apart() -> None:
    """1, true and 1.0 are equal in Python; their samples are not."""
    folder = Folder(["p"], DAY)
    folder.add_page([sent(T0 + i, value) for i, value in enumerate((1, True, 1.0, "1", "true"))])
    [fold] = finished(folder)

    values = [each.partition(",")[2] for each in text_of(fold)[1:-1].split("],[")]
    assert ["1", "true", "1.0", "1", '"true"'] == values


def test_numbers_and_texts_of_the_same_digits_stay_apart() -> None:
    """The text of a number beyond a double is kept, the number itself is null, in either order."""
    sent_values = (
        NumberText("1e400"),
        "1e400",
        NumberText("1e400"),
        "1e-400",
        NumberText("1e-400"),
    )
    folder = Folder(["p"], DAY)
    folder.add_page([sent(T0 + i, value) for i, value in enumerate(sent_values)])
    folder.advance(None, DAY.end_ms)
    [fold] = folder.finish()

    values = [each.partition(",")[2] for each in text_of(fold)[1:-1].split("],[")]
    assert ["null", '"1e400"', "null", '"1e-400"', "1e-400"] == values


def test_only_what_was_asked_for_is_kept() -> None:
    """Other points and instants outside the half-open range are dropped."""
    folder = Folder(["p", "q"], Range(T0, T0 + 10))
    folder.add_page(
        [
            sent(T0 - 1),
            sent(T0, 1),
            sent(T0 + 9, 2),
            sent(T0 + 10),
            sent(T0 + 5, name="P"),
            sent(T0 + 5, name="constructor"),
            Sent("other", 1, "no time at all"),
        ]
    )

    assert [f"[{T0},1],[{T0 + 9},2]", ""] == [text_of(fold) for fold in finished(folder)]


def test_every_point_is_known_afterwards() -> None:
    """A point without samples is known too: to have none; points come in the order asked for."""
    folds = finished(Folder(["q", "p"], Range(0, 10)))

    assert [("q", Range(0, 10), 0), ("p", Range(0, 10), 0)] == [
        (fold.point, fold.known, fold.series.count) for fold in folds
    ]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([["0:a 5:b"], ["5:c"]], id="next page"),
        pytest.param([["0:a 5:b 5:c"]], id="same page"),
        pytest.param([["5:b 0:a 5:c"]], id="same page, out of order"),
        pytest.param([["5:b"], ["0:x"], ["5:c 0:a"]], id="pages out of order"),
    ],
)
def test_last_received_of_duplicates_wins(order: list[list[str]]) -> None:
    """Of samples with the same instant, the one received last is kept."""
    folder = Folder(["p"], Range(0, 10))
    for page in order:
        folder.add_page([sent(t, value) for text in page for t, value in samples(text)])
    [fold] = finished(folder)

    assert text_of(fold) == '[0,"a"],[5,"c"]'


@pytest.mark.parametrize("time", UNREADABLE_TIMES)
def test_an_unreadable_time_spoils_its_sample_only(time: str) -> None:
    """A requested point's sample without a readable time is left out and counted."""
    folder = Folder(["p", "q"], DAY)
    for _ in range(2):
        folder.add_page([sent(T0, 1), Sent("p", 2, time), Sent("other", 3, time), sent(T0 + 9, 4)])
    folder.add_page([Sent("q", 5, time)])

    assert folder.unreadable == 3
    folder.advance(None, DAY.end_ms)
    assert [f"[{T0},1],[{T0 + 9},4]", ""] == [text_of(fold) for fold in folder.finish()]


def test_points_with_the_same_unreadable_times_each_count_theirs() -> None:
    """Of points that are sampled together, each loses a sample by a time that cannot be read."""
    times = [format_instant(T0), "x", format_instant(T0 + 9)]
    folder = Folder(["p", "q"], DAY)
    folder.add_page([Sent(name, at, time) for at, time in enumerate(times) for name in "pq"])

    assert folder.unreadable == 2
    folder.advance(None, DAY.end_ms)
    assert [f"[{T0},0],[{T0 + 9},2]"] * 2 == [text_of(fold) for fold in folder.finish()]


def test_a_sample_without_a_value_is_left_out_and_a_null_value_is_kept() -> None:
    """Null is a value. A sample that has none counts where it was asked for: not out of range."""
    folder = Folder(["p"], DAY)
    folder.add_page([sent(T0 - 1, UNSET), sent(T0, None), sent(T0 + 1, UNSET), sent(T0 + 2, "7")])
    folder.add_page([sent(T0 + 3, UNSET), sent(T0 + 3, UNSET, "other"), Sent("", "8", "")])
    folder.advance(None, DAY.end_ms)
    [fold] = folder.finish()

    assert folder.unreadable == 2
    assert f"[{T0},null],[{T0 + 2},7]" == text_of(fold)


def minutes(start_ms: int, count: int) -> list[Sent]:
    """Return one sample a minute."""
    return [sent(start_ms + i * MINUTE_MS, i) for i in range(count)]


@pytest.mark.parametrize(
    ("start_ms", "count", "expected"),
    [
        pytest.param(T0, 511, [511], id="too few to close"),
        pytest.param(T0, 1440, [1440], id="a day"),
        pytest.param(T0, 1441, [1440, 1], id="a day and a minute"),
        pytest.param(T0, 4000, [1440, 1440, 1120], id="days"),
        pytest.param(T0 + 928 * MINUTE_MS, 1000, [512, 488], id="512 before midnight"),
        pytest.param(T0 + 929 * MINUTE_MS, 1952, [1951, 1], id="511 before midnight"),
    ],
)
@pytest.mark.parametrize("page_size", [1, 97, 10_000])
def test_frames_close_at_midnight(
    start_ms: int, count: int, expected: list[int], page_size: int
) -> None:
    """
    A frame closes at the first UTC midnight after it holds 512 samples, whatever the pages are.
    """
    folder = Folder(["p"], Range(T0, T0 + 9 * DAY_MS))
    pages = minutes(start_ms, count)
    for start in range(0, count, page_size):
        folder.add_page(pages[start : start + page_size])
    [fold] = finished(folder)

    assert expected == [frame.count for frame in fold.series.frames]


@pytest.mark.parametrize(
    ("closings_ms", "expected"),
    [
        pytest.param([], [4], id="none"),
        pytest.param([5], [2, 2], id="at a sample, which begins the next frame"),
        pytest.param([6], [3, 1], id="between two"),
        pytest.param([1, 2, 3, 9], [1, 2, 1], id="several, some without a sample between"),
        pytest.param([0, 10], [4], id="at the ends"),
        pytest.param([-3, 99], [4], id="outside"),
    ],
)
def test_closings(closings_ms: list[int], expected: list[int]) -> None:
    """A frame ends there, however few samples it has; the series goes on."""
    folder = Folder(["p"], Range(0, 10), closings_ms)
    folder.add_page([sent(t) for t in (0, 4, 5, 9)])
    [fold] = finished(folder)

    assert Range(0, 10) == fold.known
    assert expected == [frame.count for frame in fold.series.frames]


def test_frames_that_reach_beyond_a_closing_are_closed_there() -> None:
    """Also where midnights and full frames close others."""
    closing_ms = T0 + 3 * DAY_MS + 7
    folder = Folder(["p"], Range(T0, T0 + 9 * DAY_MS), [closing_ms])
    folder.add_page(minutes(T0, 9 * 1440))
    [fold] = finished(folder)
    assert 9 * 1440 == fold.series.count
    assert any(
        frame.last_ms < closing_ms <= following.first_ms
        for frame, following in pairwise(fold.series.frames)
    )


def test_open_samples_are_few() -> None:
    """
    Of samples in order, no more stay open than a frame's, a day's and a page's, and none is late.
    """
    folder, page_size = Folder(["p"], Range(T0, T0 + 60 * DAY_MS)), 250
    sent_in_order = minutes(T0, 40 * 1440)
    most = 0
    for start in range(0, len(sent_in_order), page_size):
        folder.add_page(sent_in_order[start : start + page_size])
        [fold_of_p] = folder._folds.values()
        most = max(most, len(fold_of_p.times))
        assert {} == fold_of_p._late
    [fold] = finished(folder)

    assert most <= FRAME_SAMPLES_MIN + 1440 + page_size
    assert len(sent_in_order) == fold.series.count


def test_a_point_of_which_all_has_come_stays_open_no_longer() -> None:
    """Its last frame is closed while other points' samples still come; a late one is merged."""
    folder = Folder(["p", "q"], DAY)
    for name in ("p", "q"):
        folder.add_page([sent(T0 + n, n, name) for n in range(0, 200, 2)])
    folder.advance(["p"], DAY.end_ms)
    assert [0, 100] == [len(each.times) for each in folder._folds.values()]
    folder.add_page([sent(T0 + 1, "late", "p"), sent(T0 + 4, "last", "p")])
    p, q = finished(folder)
    assert (101, 100) == (p.series.count, q.series.count)
    text = text_of(p)
    assert text.startswith(f'[{T0},0],[{T0 + 1},"late"],[{T0 + 2},2],[{T0 + 4},"last"],')


def spans(folds: list[PointSeries]) -> list[tuple[str, int, int, int]]:
    """Return of each fold its point, its range counted from T0, and how many samples it has."""
    return [
        (each.point, each.known.start_ms - T0, each.known.end_ms - T0, each.series.count)
        for each in folds
    ]


def test_what_is_complete_can_be_taken_and_the_rest_stays_open() -> None:
    """Of each point as far as it was noted, each stretch once; what is not complete is not told."""
    folder = Folder(["p", "q"], Range(T0, T0 + 100), [T0 + 50])
    assert [] == folder.take_known()
    folder.add_page([sent(T0 + at, name=name) for at in (0, 10, 30, 60) for name in "pq"])
    folder.advance(["p", "stranger"], T0 + 30)
    assert [("p", 0, 30, 2)] == spans(folder.take_known())
    assert [] == folder.take_known()
    assert 2 + 4 == folder.held
    folder.add_page([sent(T0 + 30, "again"), sent(T0 + 70)])
    folder.advance(None, T0 + 20)
    assert [("q", 0, 20, 2)] == spans(folder.take_known())
    folder.advance(None, T0 + 61)
    taken = folder.take_known()
    assert [("p", 30, 61, 2), ("q", 20, 61, 2)] == spans(taken)
    assert [1, 1] == [frame.count for frame in taken[0].series.frames]
    assert text_of(taken[0]).startswith(f'[{T0 + 30},"again"]')
    assert 1 == folder.held
    assert [] == folder.finish()


def test_a_fetch_that_breaks_off_is_known_as_far_as_it_is_complete() -> None:
    """What came after that is forgotten."""
    folder = Folder(["p", "q"], Range(T0, T0 + 100))
    folder.add_page([sent(T0 + 5), sent(T0 + 10)])
    folder.advance(None, T0 + 10)
    folder.add_page([sent(T0 + 20), sent(T0 + 7), Sent("q", 1, "no time")])
    assert [("p", 0, 10, 2), ("q", 0, 10, 0)] == spans(folder.finish())


@pytest.mark.parametrize(
    ("notes", "covered"),
    [
        pytest.param([], 0.0, id="nothing yet"),
        pytest.param([(None, 25)], 0.25, id="all points"),
        pytest.param([(["p"], 50)], 0.25, id="one of two"),
        pytest.param([(["p"], 50), (["p"], 20)], 0.25, id="never less"),
        pytest.param([(None, -5)], 0.0, id="before the range"),
        pytest.param([(None, 1000)], 1.0, id="beyond the range"),
    ],
)
def test_the_share_that_is_complete(
    notes: list[tuple[list[str] | None, int]], covered: float
) -> None:
    """Points and time count, not samples."""
    folder = Folder(["p", "q"], Range(T0, T0 + 100))
    for points, until_ms in notes:
        folder.advance(points, T0 + until_ms)
    assert covered == folder.covered


def test_a_sample_before_what_was_taken_is_refused() -> None:
    """It can be merged with nothing; the others of its page, and what was complete, stay."""
    folder = Folder(["p", "q"], Range(T0, T0 + 100))
    folder.add_page([sent(T0 + 5), sent(T0 + 20)])
    folder.advance(None, T0 + 10)
    folder.take_known()
    with pytest.raises(SampleTooOld, match=r"2025-01-01T00:00:00\.007"):
        folder.add_page([sent(T0 + 30), sent(T0 + 7), sent(T0 + 11), sent(T0 + 30, name="q")])
    folder.advance(None, T0 + 100)
    assert [("p", 10, 100, 3), ("q", 10, 100, 1)] == spans(folder.finish())


def test_a_late_sample_that_nobody_has_missed_yet_is_merged() -> None:
    """Its frame is closed, and the time complete, but not taken."""
    folder = Folder(["p"], Range(T0, T0 + 9 * DAY_MS))
    folder.add_page(minutes(T0, 2000))
    folder.advance(None, T0 + 2 * DAY_MS)
    folder.add_page([sent(T0 + 1)])
    assert 2001 == folder.held
    assert [("p", 0, 2 * DAY_MS, 2001)] == spans(folder.take_known())
    assert 0 == folder.held


def test_frames_that_reach_beyond_what_is_complete_are_taken_apart() -> None:
    """An upstream may send samples long before it can say that all before them have come."""
    folder = Folder(["p"], Range(T0, T0 + 9 * DAY_MS))
    folder.add_page(minutes(T0, 4 * 1440))
    folder.advance(None, T0 + DAY_MS + 10 * MINUTE_MS)
    assert [("p", 0, DAY_MS + 10 * MINUTE_MS, 1450)] == spans(folder.take_known())
    assert 4 * 1440 - 1450 == folder.held
    assert 4 * 1440 - 1450 == sum(each.series.count for each in finished(folder))


def test_frames_of_dense_samples_close_before_midnight() -> None:
    """A day of samples a second is no single frame, and few of them are open."""
    folder = Folder(["p"], DAY)
    for first in range(0, 40_000, 5_000):
        folder.add_page([sent(T0 + 1_000 * n, n) for n in range(first, first + 5_000)])
        assert len(folder._folds["p"].times) <= FRAME_SAMPLES_MAX
    folder.add_page([sent(T0 + 500, "late")])
    [fold] = finished(folder)
    counts = [frame.count for frame in fold.series.frames]
    assert [FRAME_SAMPLES_MAX] * 4 == counts[:4]
    assert 40_001 == sum(counts)
    assert text_of(fold).startswith(f'[{T0},0],[{T0 + 500},"late"],[{T0 + 1_000},1],')


def test_points_that_turn_up_are_taken_from_then_on() -> None:
    """What was given before holds none of theirs: they begin where all others begin."""
    folder = Folder([], DAY)
    folder.add_site_page([sent(T0 + 10), sent(T0 + 20)])
    folder.advance(None, T0 + 20)
    assert [("p", 0, 20, 1)] == spans(folder.take_known())
    folder.advance(None, T0 + 25)
    # Not as a point without a name, though.
    folder.add_site_page([sent(T0 + 30, name="q"), sent(T0 + 35, name=""), sent(T0 + 40, name="q")])
    # Complete as far as the others are, from where those were taken.
    assert [("p", 20, 25, 1), ("q", 20, 25, 0)] == spans(folder.take_known())
    folder.advance(None, T0 + 35)
    assert [("p", 25, 35, 0), ("q", 25, 35, 1)] == spans(folder.take_known())
    assert [("p", 35, DAY_MS, 0), ("q", 35, DAY_MS, 1)] == spans(finished(folder))
