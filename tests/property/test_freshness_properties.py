"""Freshness as Python judges it against freshness as the clean-up's SQL does."""

from __future__ import annotations

import sqlite3

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import stored
from building_vitals.cache.freshness import Freshness, kept_until_sql
from building_vitals.ranges import Range

INSTANTS = st.one_of(st.integers(0, 60), st.integers(1_767_225_600_000, 1_767_225_600_060))
LIVES = st.one_of(st.integers(0, 60), st.integers(0, 90 * 86_400_000))


@settings(deadline=None, max_examples=500)
@given(
    start_ms=INSTANTS,
    duration_ms=st.integers(1, 100),
    fetched_ms=INSTANTS,
    freshness=st.builds(Freshness, LIVES, LIVES, LIVES, LIVES),
)
def test_python_and_sql_agree(
    start_ms: int, duration_ms: int, fetched_ms: int, freshness: Freshness
) -> None:
    """Whatever the segment and the options, both say the same millisecond."""
    known = Range(start_ms, start_ms + duration_ms)
    segment = stored(known, fetched_ms=fetched_ms).segment
    row = {"start_ms": start_ms, "end_ms": known.end_ms, "fetched_ms": fetched_ms}
    values = (msgspec.json.encode(row).decode(), *freshness.sql_values)
    columns = ", ".join(f"?1 ->> '{name}' AS {name}" for name in row)
    with sqlite3.connect(":memory:") as database:
        found = database.execute(f"SELECT {kept_until_sql(2)} FROM (SELECT {columns})", values)
        kept_until_ms = found.fetchone()[0]
    database.close()

    assert freshness.kept_until_ms(segment) == kept_until_ms
    assert freshness.is_kept(segment, kept_until_ms - 1)
    assert not freshness.is_kept(segment, kept_until_ms)
