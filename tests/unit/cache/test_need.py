"""What is needed, and what has become of it."""

from __future__ import annotations

import pytest

from building_vitals.cache.need import Filling, Need
from building_vitals.ranges import Range


@pytest.mark.parametrize(
    ("now_ms", "expected"),
    [
        pytest.param(9_000, Range(1_000, 5_000), id="past"),
        pytest.param(3_999, Range(1_000, 3_000), id="in the middle of a second"),
        pytest.param(1_999, None, id="begun within this second"),
        pytest.param(500, None, id="future"),
    ],
)
def test_what_has_happened_ends_with_a_whole_second(now_ms: int, expected: Range | None) -> None:
    """Requests of one second ask for the same."""
    need = Need("hq", ("a",), Range(1_000, 5_000), now_ms=now_ms, deadline_ms=99_999)
    assert expected == need.happened


def test_a_second_attempt_counts_what_the_first_had_fetched() -> None:
    """Costs add up, ranges merge, what is at hand stays so; the first tells what had been known."""
    first = Filling(
        [],
        fresh={"a": b"1", "b": b"1"},
        fetched=[Range(0, 10)],
        samples_fetched=5,
        upstream_requests=2,
        unreadable=3,
        had_known=False,
    )
    second = Filling(
        [],
        fresh={"b": b"2"},
        fetched=[Range(5, 20)],
        samples_fetched=1,
        upstream_requests=1,
        unreadable=4,
    )
    together = second.after(first)
    assert {"a": b"1", "b": b"2"} == together.fresh
    assert [Range(0, 20)] == together.fetched
    assert (6, 3, 7, False) == (
        together.samples_fetched,
        together.upstream_requests,
        together.unreadable,
        together.had_known,
    )
