"""Tests of the arithmetic of ranges, by picture."""

from __future__ import annotations

import pytest

from builders import span, spans
from building_vitals.ranges import Range, gaps, merge


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("0-10", "5-15", "5-10", id="overlap"),
        pytest.param("0-10", "2-4", "2-4", id="inside"),
        pytest.param("2-4", "0-10", "2-4", id="around"),
        pytest.param("0-10", "0-10", "0-10", id="equal"),
        pytest.param("0-10", "10-20", None, id="touching ranges share nothing"),
        pytest.param("0-10", "11-20", None, id="apart"),
    ],
)
def test_clip(one: str, other: str, expected: str | None) -> None:
    """A range cut to another is what both have, or nothing."""
    time_range = None if expected is None else span(expected)

    assert time_range == span(one).clip(span(other)) == span(other).clip(span(one))


def test_duration() -> None:
    """A range is as long as it has milliseconds."""
    assert Range(-5, 5).duration_ms == 10


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        pytest.param("", "", id="none"),
        pytest.param("5-6", "5-6", id="one"),
        pytest.param("0-10 10-20", "0-20", id="touching"),
        pytest.param("0-10 11-20", "0-10 11-20", id="one millisecond apart"),
        pytest.param("20-30 0-10", "0-10 20-30", id="out of order"),
        pytest.param("0-30 5-10", "0-30", id="one inside the other"),
        pytest.param("0-5 0-10 0-7", "0-10", id="same start"),
        pytest.param("0-10 5-15 14-20", "0-20", id="a chain"),
    ],
)
def test_merge(ranges: str, expected: str) -> None:
    """Merged ranges hold the same instants, in as few ranges as there can be."""
    assert spans(expected) == merge(spans(ranges))


@pytest.mark.parametrize(
    ("haves", "expected"),
    [
        pytest.param("", "10-50", id="nothing known"),
        pytest.param("10-50", "", id="all known"),
        pytest.param("0-90", "", id="more than all known"),
        pytest.param("0-20", "20-50", id="beginning known"),
        pytest.param("40-90", "10-40", id="end known"),
        pytest.param("20-30", "10-20 30-50", id="middle known"),
        pytest.param("0-10", "10-50", id="known up to the start"),
        pytest.param("50-60", "10-50", id="known from the end"),
        pytest.param("15-20 20-30", "10-15 30-50", id="touching leave no gap"),
        pytest.param("15-40 20-30", "10-15 40-50", id="one inside the other"),
        pytest.param("0-20 25-30 49-90", "20-25 30-49", id="several"),
    ],
)
def test_gaps(haves: str, expected: str) -> None:
    """What is not known of a range are the parts between the known ones."""
    assert spans(expected) == gaps(spans(haves), Range(10, 50))


def test_gaps_refuse_disorder() -> None:
    """Ranges out of order are a mistake of the caller and do not give a wrong answer."""
    with pytest.raises(ValueError, match="ranges out of order: 0 after 20"):
        gaps(spans("20-30 0-10"), Range(0, 50))
