"""
Joined segments against the plain samples of their parts, and their life against that of the parts.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Samples, Stored, every, stored
from building_vitals.cache.coverage import cover
from building_vitals.cache.joining import join, runs
from building_vitals.cache.segments import Segment
from building_vitals.ranges import Range, gaps, merge
from building_vitals.series.frames import Frame, frame_text

WORLD = Range(0, 4000)
TRUTH = [every(1, WORLD), every(3, WORLD, seed=1), every(400, WORLD, seed=2), Samples()]


class Blobs:
    """Gives the bytes of frames."""

    def __init__(self, held: list[Stored]) -> None:
        self._blobs = {each.segment.key: each.blob for each in held}

    def read(self, segment: Segment, frame: Frame) -> memoryview:
        """Return the bytes of a frame."""
        start = segment.offset + frame.offset
        return memoryview(self._blobs[segment.key])[start : start + frame.stored_bytes]


def draw_range(rng: random.Random, limit: int) -> Range:
    """Return a range below *limit*, more often short than long."""
    length = min(rng.choice((1, 5, 40, 500, 1500, 3000)), limit - 1)
    start_ms = rng.randrange(limit - length)
    return Range(start_ms, start_ms + length)


def draw_sizes(rng: random.Random) -> list[int]:
    """Return sizes of frames, small and large."""
    return [rng.choice((1, 3, 90, 511, 512, 700)) for _ in range(rng.randrange(8))]


@settings(deadline=None, max_examples=80)
@given(st.randoms(use_true_random=False), st.sampled_from(TRUTH))
def test_joined_parts_have_the_same_samples(rng: random.Random, truth: Samples) -> None:
    """Whatever segments a run is made of, the whole has their samples, in frames that are right."""
    held = [
        stored(draw_range(rng, WORLD.end_ms), truth, sizes=draw_sizes(rng), key=str(i))
        for i in range(rng.randrange(1, 7))
    ]
    segments = [each.segment for each in held]
    for known in merge(each.range for each in segments):
        fold = join("p", known, cover("p", segments, known).known, Blobs(held).read)

        inside = truth.within(known)
        series = fold.series
        assert (known, len(inside)) == (fold.known, series.count)
        texts = [
            frame_text(each, series.data[each.offset : each.offset + each.stored_bytes])
            for each in series.frames
        ]
        assert inside.text == b",".join(texts)
        start = 0
        for frame in series.frames:
            part = inside[start : start + frame.count]
            assert (frame.first_ms, frame.last_ms) == (part[0][0], part[-1][0])
            start += frame.count


@settings(deadline=None, max_examples=200)
@given(st.randoms(use_true_random=False))
def test_joining_changes_nobody_s_life(rng: random.Random) -> None:
    """Only what was fetched at one instant is joined, so that all is known as long as before."""
    segments: list[Segment] = []
    for number in range(rng.randrange(2, 12)):
        fetched_ms = rng.randrange(3) + WORLD.end_ms
        time_range = draw_range(rng, fetched_ms)
        segments.append(stored(time_range, fetched_ms=fetched_ms, key=str(number)).segment)

    for known, fetched_ms, parts in runs(segments):
        fold = join("p", known, parts, Blobs([]).read)
        assert len(parts) > 1
        assert known == fold.known
        assert {fetched_ms} == {segment.fetched_ms for segment, _ in parts}
        assert [] == gaps([part for _, part in parts], known)
