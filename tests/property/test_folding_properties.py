"""Folding against the plain way: collect everything, let the last win, sort, cut."""

from __future__ import annotations

import json
import random
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from builders import Sent
from building_vitals.instants import DAY_MS, EPOCH, MILLISECOND, floor_day, format_instant
from building_vitals.ranges import Range
from building_vitals.series.folding import Folder, PointSeries
from building_vitals.series.frames import FRAME_SAMPLES_MIN, frame_text
from building_vitals.series.values import NumberText, value_text
from spellings import UNREADABLE_TIMES, spelled_instants

T0 = 1_735_689_600_000
MINUTE_MS = 60_000
DAY = Range(T0, T0 + DAY_MS)
POINTS = ("p", "q", "empty")
SENT_VALUES: tuple[Any, ...] = (
    "45.50", "-0", "1e5", "1e999", "1e-999", NumberText("1e999"), NumberText("1e-999"), "NaN",
    "on", "],[", 'a"b', "\U0001f525", "\ud800", "[5,",
    None, True, False, 1, 1.0, 0, 2.5, [5, [6]], {"a": 1}, {}, [],
)  # fmt: skip
# Thousands of draws are made by the generator itself: through Hypothesis each takes a hundred times
# as long, and large examples would be given up.
RANDOMS = st.integers(0, 2**32 - 1).map(random.Random)
SHARES = st.lists(st.floats(-0.2, 1.2), max_size=3)
ORDERS = ("ordered", "reversed", "shuffled", "shuffled pages", "late", "repeated")


def pages_of(
    rng: random.Random, order: str, count: int, step_ms: int, page_size: int
) -> list[list[Sent]]:
    """Return pages as an upstream might send them."""
    start_ms = T0 - rng.randrange(3 * step_ms)
    drawn = [
        Sent(
            rng.choice(("p", "p", "p", "q", "unknown")),
            rng.choice(SENT_VALUES) if rng.random() < 0.2 else f"{rng.randrange(900)}.50",
            format_instant(start_ms + i * step_ms // 3),
        )
        for i in range(count)
    ]
    if order == "reversed":
        drawn.reverse()
    elif order == "shuffled":
        rng.shuffle(drawn)
    elif order == "late":
        late = [drawn.pop(rng.randrange(len(drawn))) for _ in range(min(5, len(drawn) - 1))]
        drawn += late
    elif order == "repeated":
        again = [each._replace(value="again") for each in rng.sample(drawn, len(drawn) // 4)]
        drawn += again
    pages = [drawn[i : i + page_size] for i in range(0, len(drawn), page_size)]
    if order == "shuffled pages":
        rng.shuffle(pages)
    return pages


def instant_of(sample: Sent) -> int:
    """Return when a sample was taken."""
    return (datetime.fromisoformat(sample.time) - EPOCH) // MILLISECOND


def expected_samples(pages: list[list[Sent]], time_range: Range) -> dict[str, dict[int, str]]:
    """Return what must be known of each point: instant to JSON text of the value, by time."""
    known: dict[str, dict[int, str]] = {point: {} for point in POINTS}
    for sample in (sample for page in pages for sample in page):
        instant_ms = instant_of(sample)
        if sample.name in known and time_range.start_ms <= instant_ms < time_range.end_ms:
            known[sample.name][instant_ms] = value_text(sample.value)
    return {point: dict(sorted(of_point.items())) for point, of_point in known.items()}


def closings_of(time_range: Range, shares: list[float]) -> list[int]:
    """Return instants as shares of a range, ascending."""
    return sorted({T0 + int(share * time_range.duration_ms) for share in shares})


def expected_frames(times: list[int], closings_ms: list[int]) -> list[list[int]]:
    """Return the instants of each frame, one sample after the other."""
    frames: list[list[int]] = []
    closes_ms: int | None = None
    for instant_ms in times:
        is_parted = frames and any(frames[-1][-1] < each <= instant_ms for each in closings_ms)
        if not frames or is_parted or (closes_ms is not None and instant_ms >= closes_ms):
            frames.append([])
            closes_ms = None
        frames[-1].append(instant_ms)
        if len(frames[-1]) == FRAME_SAMPLES_MIN:
            closes_ms = floor_day(instant_ms) + DAY_MS
    return frames


def read(fold: PointSeries) -> list[tuple[list[int], str]]:
    """Return the instants and the text of each frame of a fold."""
    found = []
    for frame in fold.series.frames:
        data = fold.series.data[frame.offset : frame.offset + frame.stored_bytes]
        text = frame_text(frame, data).decode()
        times = [each[0] for each in json.loads(f"[{text}]")]
        assert (frame.first_ms, frame.last_ms, frame.count) == (times[0], times[-1], len(times))
        found.append((times, text))
    return found


@settings(deadline=None, max_examples=120)
@given(
    rng=RANDOMS,
    order=st.sampled_from(ORDERS),
    count=st.integers(1, 3000),
    step_ms=st.sampled_from([MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS]),
    page_size=st.sampled_from([1, 7, 300, 5000]),
    shares=SHARES,
)
def test_folds_are_the_sorted_samples(
    *,
    rng: random.Random,
    order: str,
    count: int,
    step_ms: int,
    page_size: int,
    shares: list[float],
) -> None:
    """
    In any order and with any closings, the folds hold each point's samples, sorted, the last of
    duplicates, cut to the range, in the frames that the rule makes of them.
    """
    pages = pages_of(rng, order, count if page_size > 1 else count // 10 + 1, step_ms, page_size)
    time_range = Range(T0, T0 + max(1, rng.randrange(1, count + 1) * step_ms // 3))
    closings_ms = closings_of(time_range, shares)
    folder = Folder(POINTS, time_range, closings_ms)
    for page in pages:
        folder.add_page(page)
    folder.advance(None, time_range.end_ms)
    point_series = folder.finish()

    assert [(point, time_range) for point in POINTS] == [
        (fold.point, fold.known) for fold in point_series
    ]
    known = expected_samples(pages, time_range)
    for fold in point_series:
        inside = [t for t in known[fold.point] if fold.known.start_ms <= t < fold.known.end_ms]
        assert [
            (times, ",".join(f"[{t},{known[fold.point][t]}]" for t in times))
            for times in expected_frames(inside, closings_ms)
        ] == read(fold)


@settings(deadline=None, max_examples=30)
@given(RANDOMS, st.integers(600, 4000), st.integers(1, 50))
def test_pages_make_no_difference(rng: random.Random, count: int, pages_count: int) -> None:
    """How samples are put on pages changes no byte, however they are ordered within."""
    drawn = pages_of(rng, rng.choice(ORDERS), count, 15 * MINUTE_MS, count * 2)[0]
    time_range, closings_ms = Range(T0, T0 + 40 * DAY_MS), [T0 + rng.randrange(20 * DAY_MS)]
    cuts = sorted({0, len(drawn), *(rng.randrange(len(drawn)) for _ in range(pages_count))})
    at_once, by_page = (Folder(POINTS, time_range, closings_ms) for _ in range(2))
    at_once.add_page(drawn)
    for start, stop in pairwise(cuts):
        by_page.add_page(drawn[start:stop])

    for each in (at_once, by_page):
        each.advance(None, time_range.end_ms)

    assert at_once.finish() == by_page.finish()


@st.composite
def sent_samples(draw: st.DrawFn) -> tuple[int, Sent]:
    """Draw a sample of any point, in any form, and how many it counts for that cannot be read."""
    name = draw(st.sampled_from(("p", "q", "unknown", "")))
    value = draw(st.sampled_from((*SENT_VALUES, UNSET)))
    instant_ms, time = draw(spelled_instants(T0 - DAY_MS, T0 + DAY_MS))
    is_inside, is_readable = T0 <= instant_ms < T0 + DAY_MS, True
    if draw(st.integers(0, 4)) == 0:
        time, is_readable = draw(st.sampled_from(UNREADABLE_TIMES)), False
    is_lost = not is_readable or (value is UNSET and is_inside)
    return int(is_lost and name in POINTS), Sent(name, value, time)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(sent_samples(), max_size=20), max_size=4), st.integers(1, 4))
def test_unreadable_samples_change_nothing_but_their_count(
    pages: list[list[tuple[int, Sent]]], repeats: int
) -> None:
    """Pages with samples that cannot be read fold as without them, and each is counted once."""
    with_all, without = Folder(POINTS, DAY), Folder(POINTS, DAY)
    for page in pages * repeats:
        with_all.add_page([sample for _, sample in page])
        without.add_page([sample for lost, sample in page if not lost])

    assert repeats * sum(lost for page in pages for lost, _ in page) == with_all.unreadable
    assert without.unreadable == 0
    for folder in (with_all, without):
        folder.advance(None, DAY.end_ms)
    assert without.finish() == with_all.finish()


def limits_after(pages: list[list[Sent]], end_ms: int) -> list[dict[str, int]]:
    """
    Return up to when each point may be called complete after each page.

    That is the earliest of its samples that are still to come, *end_ms* where none are.
    """
    limits_ms: dict[str, int] = {}
    found = []
    for page in reversed(pages):
        found.append({point: limits_ms.get(point, end_ms) for point in POINTS})
        for sample in page:
            instant_ms = instant_of(sample)
            limits_ms[sample.name] = min(instant_ms, limits_ms.get(sample.name, instant_ms))
    return found[::-1]


@settings(deadline=None, max_examples=80)
@given(
    rng=RANDOMS,
    order=st.sampled_from(("ordered", "repeated", "late")),
    count=st.integers(1, 3000),
    page_size=st.sampled_from([7, 100, 1000]),
    shares=SHARES,
)
def test_stretches_that_are_taken_make_up_the_whole(
    *, rng: random.Random, order: str, count: int, page_size: int, shares: list[float]
) -> None:
    """
    However often something is noted as complete and taken, the stretches of each point join
    without gaps, and have the samples that one fold has.
    """
    pages = pages_of(rng, order, count, 5 * MINUTE_MS, page_size)
    time_range = Range(T0, T0 + max(1, rng.randrange(1, count + 1) * 5 * MINUTE_MS // 3))
    closings_ms = closings_of(time_range, shares)
    folder = Folder(POINTS, time_range, closings_ms)
    taken: list[PointSeries] = []
    for page, limits_ms in zip(pages, limits_after(pages, time_range.end_ms), strict=True):
        folder.add_page(page)
        for point in POINTS:
            limit_ms = limits_ms[point]
            if rng.random() < 0.6:
                folder.advance([point], min(limit_ms, T0 + rng.randrange(time_range.duration_ms)))
            elif rng.random() < 0.5:
                folder.advance([point], limit_ms)
        if rng.random() < 0.4:
            taken += folder.take_known()
    folder.advance(None, time_range.end_ms)
    taken += folder.finish()

    known = expected_samples(pages, time_range)
    for point in POINTS:
        stretches = [each for each in taken if each.point == point]
        edges = [time_range.start_ms, *(each.known.end_ms for each in stretches)]
        assert edges[1:] == sorted(set(edges[1:]))
        assert edges[:-1] == [each.known.start_ms for each in stretches]
        assert time_range.end_ms == edges[-1]
        frames = [frame for each in stretches for frame in read(each)]
        assert ",".join(f"[{t},{text}]" for t, text in known[point].items()) == ",".join(
            text for _, text in frames
        )
        for each in stretches:
            inside = [t for t in known[point] if each.known.start_ms <= t < each.known.end_ms]
            assert expected_frames(inside, closings_ms) == [times for times, _ in read(each)]
    assert 0 == folder.held
