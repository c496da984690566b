"""Tests of frames: how samples are laid out in a series, and how one is cut."""

from __future__ import annotations

import zlib

import pytest

from builders import VALUES, Samples, every, samples, span
from building_vitals.ranges import Range
from building_vitals.series.frames import (
    COMMA,
    SeriesBuilder,
    cut_text,
    frame_text,
    text_times,
    value_texts,
)
from building_vitals.series.splicing import inflate
from building_vitals.series.values import NESTING_MAX

HELD = samples('0:1 10:"on" 20:2.50 30:null 40:3')


def test_series_is_one_text() -> None:
    """The bytes of a series are, commas between frames included, the text of all its samples."""
    series = HELD.series([2, 1])

    assert HELD.text == inflate(series.data, len(HELD.text))
    assert series.count == len(HELD)
    assert [(0, 10, 2), (20, 20, 1), (30, 40, 2)] == [
        (frame.first_ms, frame.last_ms, frame.count) for frame in series.frames
    ]


def test_directory_says_where_frames_lie() -> None:
    """Each frame's place, lengths and CRCs are those of its bytes and text."""
    series = HELD.series([2, 1])
    text = HELD.text
    for frame in series.frames:
        data = series.data[frame.offset : frame.offset + frame.stored_bytes]
        own = text[frame.text_offset : frame.raw_end]

        assert own == frame_text(frame, data) == frame_text(frame, memoryview(data))
        assert zlib.crc32(own) == frame.own_crc
        assert zlib.crc32(data) == frame.data_crc
        assert zlib.crc32(text[: frame.raw_end]) == frame.crc
        assert zlib.crc32(text[: frame.text_offset]) == frame.crc_before
    for before, after in zip(series.frames, series.frames[1:], strict=False):
        assert series.data[before.offset + before.stored_bytes : after.offset] == COMMA


def test_no_samples_are_no_frames() -> None:
    """A series without samples has no bytes."""
    series = SeriesBuilder().build()

    assert ((), b"", 0) == (series.frames, series.data, series.count)


def test_frames_of_other_series_are_taken_as_they_are() -> None:
    """
    A series of frames out of other series is the same, byte by byte, as one made of their texts.
    """
    source = HELD.series([2, 1])
    builder = SeriesBuilder()
    for frame in source.frames[1:]:
        builder.add_frame(frame, source.data[frame.offset : frame.offset + frame.stored_bytes])

    assert Samples(HELD[2:]).series([1]) == builder.build()


@pytest.mark.parametrize("values", [("1", "2.50", "-3e5", "null", "true"), VALUES])
@pytest.mark.parametrize(
    "time_range",
    ["0-1", "0-100", "1-100", "100-150", "100-151", "101-149", "149-301", "250-9999", "0-1401"],
)
def test_cut(values: tuple[str, ...], time_range: str) -> None:
    """A cut frame is the text of the samples inside the range, whatever their values are."""
    held = Samples((100 + 50 * i, value) for i, value in enumerate(values))
    inside = held.within(span(time_range))

    assert (len(inside), inside.text) == cut_text(held.text, span(time_range))


@pytest.mark.parametrize(
    "held",
    [
        pytest.param('5:["[10,"] 10:1', id="text that looks like a sample"),
        pytest.param("5:[10,7] 10:1", id="a list that looks like a sample"),
        pytest.param("5:[[10,7],[10,8]] 10:1", id="lists like several samples"),
        pytest.param('5:"\\ud800" 10:1', id="half of a surrogate pair"),
        pytest.param("-10:1 -5:2 5:3 10:4", id="before and after 1970"),
        pytest.param("5:0.1 10:" + "9" * 300, id="many digits"),
        pytest.param("5:1 10:" + "[" * NESTING_MAX + "]" * NESTING_MAX, id="deep nesting"),
    ],
)
def test_cut_is_not_misled(held: str) -> None:
    """Where a sample begins is told from its place, not from what it looks like."""
    whole = samples(held)
    for time_range in (Range(10, 11), Range(-5, 10), Range(5, 11), Range(6, 7)):
        inside = whole.within(time_range)

        assert (len(inside), inside.text) == cut_text(whole.text, time_range)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"x", id="a letter"),
        pytest.param(b"[1,2],", id="comma at the end"),
        pytest.param(b'["1",2],[3,"x"]', id="time as text"),
        pytest.param(b"[,2],[3,4]", id="no time"),
        pytest.param(b'[1,"\xff\\ud800"],[2,3]', id="no UTF-8"),
        pytest.param(b'[1,"\\ud800"],[2', id="cut short behind half a pair"),
        pytest.param(b"[[[[", id="brackets"),
        pytest.param(b'"', id="a quote"),
    ],
)
def test_text_that_is_none_of_samples(text: bytes) -> None:
    """What is no text of samples is refused by ValueError, and by nothing else."""
    with pytest.raises(ValueError):
        value_texts(text)
    for time_range in (Range(0, 2), Range(2, 9)):
        try:
            cut_text(text, time_range)
        except ValueError:
            continue


def test_times_of_a_text() -> None:
    """The first and the last instant of a text are found, whatever the values hold."""
    held = every(7, Range(-100, 900))

    assert (-100, 894) == text_times(held.text)
    assert {t: str(value) for t, value in held} == value_texts(held.text)


def test_another_text_of_the_same_length_is_noticed() -> None:
    """Bytes that are valid DEFLATE of valid samples, but not those of the frame, are refused."""
    frame = samples("0:1 10:2").series().frames[0]
    other = samples("0:1 10:3").series()

    with pytest.raises(ValueError, match="another text"):
        frame_text(frame, other.data)
