"""Levels of what blocks are merged into: joined or made, within bounds."""

from __future__ import annotations

import pytest

from building_vitals.blocks.leveling import (
    EARLY_SAMPLES_MIN,
    LEVELED_SAMPLES_MAX,
    LEVELED_SAMPLES_MIN,
    LevelBudget,
    leveled_from,
    levels_of_parts,
)
from building_vitals.blocks.stint_levels import laid_out
from building_vitals.cache.leveling import levels_of
from building_vitals.cache.segments import Piece, segment_of
from building_vitals.instants import MINUTE_MS
from building_vitals.ranges import Range
from building_vitals.series.frames import Series, SeriesBuilder

KNOWN = Range(0, 3_000 * MINUTE_MS)


def series_of(count: int) -> Series:
    """Return a sample a minute."""
    builder = SeriesBuilder()
    text = ",".join(f"[{n * MINUTE_MS},{n * n % 89}.5]" for n in range(count))
    builder.add_text(0, (count - 1) * MINUTE_MS, count, text.encode())
    return builder.build()


def unread(_piece: Piece) -> bytes:
    """Have nothing to read."""
    raise AssertionError("nothing of the parts is to be read")


@pytest.mark.parametrize(
    ("count", "budget", "is_leveled"),
    [(1_023, 9_999, False), (1_024, 1_024, True), (1_024, 1_023, False), (2_000, 9_999, True)],
)
async def test_a_long_series_gets_levels_while_the_budget_lasts(
    count: int, budget: int, *, is_leveled: bool
) -> None:
    """Those that its samples give; what is short gets none."""
    series = series_of(count)
    part = segment_of("a", KNOWN, series, fetched_ms=1, key="k", offset=0)
    found = await levels_of_parts([(part, KNOWN)], series, unread, LevelBudget(budget), 1_024)
    made = laid_out(await levels_of(series.frames, series.data)) if is_leveled else None
    assert made == found


def test_a_budget_is_spent_before_it_is_used_up() -> None:
    """No other merge begins then; the one under way goes on to the end of it."""
    budget = LevelBudget(1_000)
    assert budget.takes(250)
    assert not budget.is_spent
    assert budget.takes(1)
    assert budget.is_spent
    assert budget.takes(749)
    assert not budget.takes(1)


def test_levels_are_made_early_where_later_they_would_be_too_many() -> None:
    """Of 5-minute data of 2,174 points at 5 days, of 7,327 at 16 hours."""
    samples = 192 * 2_174
    assert LEVELED_SAMPLES_MIN == leveled_from(7 * samples)
    assert EARLY_SAMPLES_MIN == leveled_from(7 * 192 * 7_327) <= 192
    assert 8 * samples < LEVELED_SAMPLES_MAX
