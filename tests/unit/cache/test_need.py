"""What is needed, and what has become of it."""

from __future__ import annotations

import pytest

from building_vitals.cache.need import Filling, Need, Progress
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


@pytest.mark.parametrize(
    ("now_ms", "missing", "expected"),
    [
        pytest.param(9_000, {}, 0.0, id="all is known"),
        pytest.param(9_000, {"a": [Range(1_000, 5_000)]}, 0.5, id="one point of two"),
        pytest.param(9_000, {"a": [Range(1_000, 2_000), Range(3_000, 4_000)]}, 0.25, id="two gaps"),
        pytest.param(3_000, {"a": [Range(1_000, 3_000)]}, 0.5, id="of what has happened"),
        pytest.param(500, {}, 0.0, id="nothing has happened"),
    ],
)
def test_what_is_missing_as_a_share(
    now_ms: int, missing: dict[str, list[Range]], expected: float
) -> None:
    """Of points and time together."""
    need = Need("hq", ("a", "b"), Range(1_000, 5_000), now_ms=now_ms, deadline_ms=99_999)
    assert expected == need.missing_share(missing)


def test_progress_beside_what_had_been_known() -> None:
    """Half of the missing half is a quarter more; what was stored is of this fetch alone."""
    assert Progress(0.75, 0.25, 3) == Progress(0.5, 0.5, 3).beside(0.5)
    assert Progress(1.0, 0.0, 3) == Progress(0.5, 0.5, 3).beside(1.0)
