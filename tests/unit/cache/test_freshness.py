"""Tests of freshness: how long a segment counts as known, and for what it is joined with others."""

from __future__ import annotations

import pytest

from builders import FRESHNESS, stored
from building_vitals.cache.freshness import kept_until_sql
from building_vitals.cache.segments import Segment

# FRESHNESS: settled from an age of 2,000; kept 24,000, or 1,000 if provisional, and 5,000 more.
FETCHED_MS = 120_000


def segment(known: str, fetched_ms: int = FETCHED_MS) -> Segment:
    """Return a segment of a range."""
    return stored(known, fetched_ms=fetched_ms).segment


@pytest.mark.parametrize(
    ("known", "lives_ms"),
    [
        pytest.param("117999-118000", 24_000, id="just settled"),
        pytest.param("118000-118001", 1_000, id="a millisecond too young"),
        pytest.param("118000-120000", 1_000, id="up to the fetch"),
        pytest.param("0-10", 24_000, id="old"),
        pytest.param("0-119999", 24_000, id="joined: its beginning decides"),
    ],
)
def test_expiry(known: str, lives_ms: int) -> None:
    """What was old when it was fetched is kept long, what was young is kept shortly."""
    held = segment(known)
    assert FETCHED_MS + lives_ms == FRESHNESS.expires_ms(held)
    assert FETCHED_MS + lives_ms + 5_000 == FRESHNESS.kept_until_ms(held)


@pytest.mark.parametrize(
    ("age_ms", "is_known", "is_kept"),
    [
        pytest.param(23_999, True, True, id="known to the last"),
        pytest.param(24_000, False, True, id="in grace"),
        pytest.param(28_999, False, True, id="end of its grace"),
        pytest.param(29_000, False, False, id="gone"),
    ],
)
def test_life_and_grace(age_ms: int, *, is_known: bool, is_kept: bool) -> None:
    """A segment is known until it expires, and kept until its grace is over."""
    held, now_ms = segment("0-10"), FETCHED_MS + age_ms
    assert (is_known, is_kept) == (
        FRESHNESS.is_known(held, now_ms),
        FRESHNESS.is_kept(held, now_ms),
    )


def test_fetches_are_split_where_settled_data_end() -> None:
    """A fetch split there has segments of one kind only."""
    assert 118_000 == FRESHNESS.settled_until_ms(FETCHED_MS)


def test_a_cohort_is_of_one_kind_and_a_small_part_of_a_life() -> None:
    """Settled and provisional data differ, and so do fetches a 24th of their life apart."""
    settled = FRESHNESS.cohort(segment("0-10"))
    assert settled == FRESHNESS.cohort(segment("10-20", FETCHED_MS + 999))
    assert settled != FRESHNESS.cohort(segment("10-20", FETCHED_MS + 1_000))
    assert settled != FRESHNESS.cohort(segment("118000-120000"))


def test_the_expression_counts_its_parameters_from_the_first() -> None:
    """It stands in statements that have parameters of their own."""
    for n in range(4):
        assert f"?{7 + n}" in kept_until_sql(7)
    assert "?11" not in kept_until_sql(7)
    assert 4 == len(FRESHNESS.sql_values)
