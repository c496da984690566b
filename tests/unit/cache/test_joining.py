"""Tests of making one segment of several: which ones, and what becomes of their frames."""

from __future__ import annotations

import msgspec
import pytest

from builders import Samples, Stored, every, samples, span, stored
from building_vitals.cache.joining import SEGMENT_BYTES_MAX, join, runs
from building_vitals.cache.segments import DirectoryMissing, Segment
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import FRAME_SAMPLES_MIN, Frame
from building_vitals.series.splicing import inflate


def segment(text: str) -> Segment:
    """Return the segment `10-20@500`: its range and when it was fetched."""
    known, _, fetched = text.partition("@")
    return stored(known, samples("15:1"), fetched_ms=int(fetched), key=text).segment


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param("", [], id="none"),
        pytest.param("0-10@120000", [], id="one"),
        pytest.param("0-10@120000 10-20@120000", ["0-20@120000 2"], id="two that meet"),
        pytest.param("10-20@120000 0-10@120000", ["0-20@120000 2"], id="out of order"),
        pytest.param("0-10@120000 11-20@120000", ["11-20@120000 1"], id="a gap between"),
        pytest.param(
            "0-10@120000 10-20@120001", ["10-20@120001 1"], id="another instant of fetching"
        ),
        pytest.param("0-10@120000 10-20@120001 20-30@120000", ["10-20@120001 1"], id="one between"),
        pytest.param("0-10@120000 5-20@120000", ["0-20@120000 2"], id="overlapping"),
        pytest.param("0-20@120000 5-10@120000", ["0-20@120000 3"], id="one inside the other"),
        pytest.param(
            "0-10@120000 10-20@120000 30-40@120000 40-50@120000",
            ["0-20@120000 2", "30-50@120000 2"],
            id="two runs",
        ),
    ],
)
def test_runs(held: str, expected: list[str]) -> None:
    """
    Segments that were fetched at one instant and follow each other become one; those alone that
    have samples can be moved.
    """
    found = runs([segment(each) for each in held.split()])

    assert expected == [
        f"{known.start_ms}-{known.end_ms}@{fetched_ms} {len(parts)}"
        for known, fetched_ms, parts in found
    ]


def test_what_came_by_point_is_not_joined_with_pages() -> None:
    """They may be other samples."""
    one, other = segment("0-20@120000"), segment("20-30@120000")
    assert 1 == len(runs([one, other]))
    assert 1 == len(runs([one, msgspec.structs.replace(other, is_by_point=True)]))
    [(known, _, _)] = runs([one, msgspec.structs.replace(other, is_by_point=True)])
    assert Range(0, 20) == known


def test_large_segments_stay_as_they_are() -> None:
    """What is worth a read of its own is not copied, and parts what lies around it."""
    held = [segment(f"{start}-{start + 10}@120000") for start in (0, 10, 20, 30, 40)]
    held[2] = msgspec.structs.replace(held[2], stored_bytes=SEGMENT_BYTES_MAX + 1)

    assert [Range(0, 20), Range(30, 50)] == [known for known, _, _ in runs(held)]


def joined(*parts: tuple[Stored, str]) -> PointSeries:
    """Return stored segments as one, each cut to a range."""
    blobs = {each.segment.key: each for each, _ in parts}

    def read(of: Segment, frame: Frame) -> bytes:
        start = of.offset + frame.offset
        return blobs[of.key].blob[start : start + frame.stored_bytes]

    cuts = [(each.segment, span(time_range)) for each, time_range in parts]
    return join("p", Range(cuts[0][1].start_ms, cuts[-1][1].end_ms), cuts, read)


def text_of(fold: PointSeries) -> bytes:
    """Return the text of all samples of a fold."""
    frames = fold.series.frames
    return inflate(fold.series.data, frames[-1].raw_end if frames else 0)


def test_slivers_become_one_frame() -> None:
    """Many small frames are put together, empty segments between them included."""
    parts = [
        (stored(f"{start}-{start + 10}", samples(f"{start}:{start}"), key=str(start)), start)
        for start in range(0, 100, 10)
        if start != 50
    ]
    parts.insert(5, (stored("50-60", key=""), 50))
    fold = joined(*((held, f"{start}-{start + 10}") for held, start in parts))

    expected = Samples((start, str(start)) for start in range(0, 100, 10) if start != 50)
    assert ("p", Range(0, 100), 9) == (fold.point, fold.known, fold.series.count)
    assert expected.series() == fold.series


def test_good_frames_are_copied() -> None:
    """Whole frames of a good size keep their bytes."""
    one, other = every(1, Range(0, 600)), every(1, Range(600, 1300), seed=1)
    first = stored("0-600", one, key="a")
    second = stored("600-1300", other, key="b")
    fold = joined((first, "0-600"), (second, "600-1300"))

    assert Samples(one + other).text == text_of(fold)
    assert [600, 700] == [frame.count for frame in fold.series.frames]
    for before, after in zip((first, second), fold.series.frames, strict=True):
        [frame] = before.segment.frames or ()
        assert frame.data_crc == after.data_crc
        assert after.stored_bytes == frame.stored_bytes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param([100] * 5, [500], id="small ones"),
        pytest.param([100] * 12, [600, 600], id="closed when large enough"),
        pytest.param([600, 100, 600], [600, 700], id="a small one before a large one"),
        pytest.param([511, 1, 512], [512, 512], id="at the limit"),
        pytest.param([600, 3], [600, 3], id="the rest"),
    ],
)
def test_sizes_of_frames(sizes: list[int], expected: list[int]) -> None:
    """Frames are put together until they have a good size."""
    held = every(1, Range(0, sum(sizes)))
    whole = f"0-{sum(sizes)}"
    fold = joined((stored(whole, held, sizes=sizes), whole))

    assert expected == [frame.count for frame in fold.series.frames]
    assert held.text == text_of(fold)


def test_overlapping_parts_are_cut() -> None:
    """Of segments that overlap, each gives its part and no more, though frames reach further."""
    held = every(1, Range(0, 2000))
    first, second = stored("0-1200", held, key="a"), stored("400-2000", held, key="b")
    fold = joined((first, "0-1200"), (second, "1200-2000"))

    assert held.text == text_of(fold)
    assert (0, 1999) == (fold.series.frames[0].first_ms, fold.series.frames[-1].last_ms)
    assert all(frame.count >= FRAME_SAMPLES_MIN for frame in fold.series.frames)


def test_a_part_may_take_nothing_of_a_frame() -> None:
    """A part that lies between two samples of a frame gives none of them."""
    first = stored("0-20", samples("10:1"), key="a")
    second = stored("0-100", samples("5:0 90:2"), key="b")
    third = stored("50-100", samples("60:3"), key="c")
    fold = joined((first, "0-20"), (second, "20-50"), (third, "50-100"))

    assert samples("10:1 60:3").series() == fold.series
    assert 0 == joined((second, "20-50")).series.count


def test_a_missing_directory_is_no_empty_segment() -> None:
    """A segment whose directory was left out is not joined as if it had no samples."""
    held = stored("0-100", samples("5:1"))
    bare = held._replace(segment=msgspec.structs.replace(held.segment, frames=None))

    with pytest.raises(DirectoryMissing, match="p"):
        joined((bare, "0-100"), (stored("100-200", key="b"), "100-200"))


def test_other_bytes_are_not_joined() -> None:
    """Frames that are looked into are told from other bytes."""
    held, other = (stored("0-100", samples(text)) for text in ("5:1 10:2", "5:1 10:3"))

    with pytest.raises(ValueError, match="another text"):
        joined((held._replace(blob=other.blob), "0-100"))
