"""Freshness as Python judges it against freshness as SQL does, and what holds of any trust."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import stored
from building_vitals.cache.freshness import Freshness, gone_sql, is_whole_sql
from building_vitals.ranges import Range

NOW_MS = 1_767_225_600_000
AGES = st.one_of(st.integers(0, 60), st.integers(0, 400 * 86_400_000))
LIVES = st.one_of(st.integers(0, 60), st.integers(0, 90 * 86_400_000))
RULES = st.builds(
    Freshness,
    trust_ratio=st.one_of(st.sampled_from([0.1, 1.0, 2.0]), st.floats(0.1, 1000)),
    trust_max_ms=st.integers(1, 400 * 86_400_000),
    lateness_ms=LIVES,
    grace_ms=LIVES,
    max_age_ms=st.integers(1, 400 * 86_400_000),
)


def computed(sql: str, values: tuple[float, ...], row: dict[str, int]) -> Any:
    """Return what an expression gives for a row; numbers are bound as fractions, as D1 does."""
    bound = (msgspec.json.encode(row).decode(), *map(float, values))
    columns = ", ".join(f"?1 ->> '{name}' AS {name}" for name in row)
    with sqlite3.connect(":memory:") as database:
        found = database.execute(f"SELECT {sql} FROM (SELECT {columns})", bound).fetchone()[0]
    database.close()
    return found


@settings(deadline=None, max_examples=500)
@given(age_ms=AGES, oldest_ms=AGES, youngest_ms=AGES, accessed_ms=AGES, freshness=RULES)
def test_python_and_sql_agree(
    age_ms: int, oldest_ms: int, youngest_ms: int, accessed_ms: int, freshness: Freshness
) -> None:
    """Whatever the segment and the options, both say the same millisecond."""
    fetched_ms = NOW_MS - age_ms
    ends = fetched_ms - max(oldest_ms, youngest_ms) - 1, fetched_ms - min(oldest_ms, youngest_ms)
    segment = stored(Range(*ends), fetched_ms=fetched_ms).segment
    accessed_ms = NOW_MS - accessed_ms
    row = {"start_ms": ends[0], "end_ms": ends[1], "fetched_ms": fetched_ms, "a": accessed_ms}

    is_whole = freshness.known_until_ms(segment, NOW_MS) == segment.end_ms
    assert is_whole == computed(is_whole_sql(2), (NOW_MS, *freshness.sql_values), row)
    gone_ms = computed(gone_sql(2, "a"), freshness.clean_up_values, row)
    assert type(gone_ms) is int
    assert freshness.gone_ms(segment, accessed_ms) == gone_ms


@settings(deadline=None, max_examples=500)
@given(age_ms=AGES, oldest_ms=AGES, youngest_ms=AGES, later_ms=AGES, freshness=RULES)
def test_trust_only_shrinks_and_ends_before_the_clean_up(
    age_ms: int, oldest_ms: int, youngest_ms: int, later_ms: int, freshness: Freshness
) -> None:
    """What is known is a prefix that grows shorter, and nothing is left when a segment may go."""
    fetched_ms = NOW_MS - age_ms
    ends = fetched_ms - max(oldest_ms, youngest_ms) - 1, fetched_ms - min(oldest_ms, youngest_ms)
    segment = stored(Range(*ends), fetched_ms=fetched_ms).segment

    known_ms = freshness.known_until_ms(segment, NOW_MS)
    assert segment.start_ms <= known_ms <= segment.end_ms
    assert freshness.known_until_ms(segment, NOW_MS + later_ms) <= known_ms
    assert freshness.kept_until_ms(segment, NOW_MS) >= known_ms
    if known_ms > segment.start_ms:
        assert NOW_MS <= freshness.trusted_until_ms(segment, known_ms)
    spent_ms = freshness.gone_ms(segment, accessed_ms=10**15)
    assert segment.start_ms == freshness.kept_until_ms(segment, spent_ms + 1)


@settings(deadline=None, max_examples=300)
@given(age_ms=AGES, sooner_ms=AGES, oldest_ms=AGES, freshness=RULES)
def test_the_later_of_two_fetches_is_known_where_the_other_is(
    age_ms: int, sooner_ms: int, oldest_ms: int, freshness: Freshness
) -> None:
    """So the newest copy alone decides about an instant; but for the rounding to a closing."""
    range_ = Range(NOW_MS - age_ms - sooner_ms - oldest_ms - 1, NOW_MS - age_ms - sooner_ms)
    one, other = (
        stored(range_, fetched_ms=fetched_ms).segment
        for fetched_ms in (NOW_MS - age_ms - sooner_ms, NOW_MS - age_ms)
    )
    if freshness.known_until_ms(one, NOW_MS) == one.end_ms:
        assert other.end_ms == freshness.known_until_ms(other, NOW_MS)
    assert freshness.gone_ms(one) <= freshness.gone_ms(other)
