"""Steps of durations: exact where it matters, never too short, a few hundred in all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from building_vitals.statistics.durations import duration_step


def test_short_durations_are_exact() -> None:
    """Below 64 ms each duration is a step of its own."""
    assert list(range(64)) == [duration_step(n) for n in range(64)]
    assert 0 == duration_step(-5)


@given(st.integers(0, 10**9))
def test_a_step_is_at_most_a_thirtysecond_longer(duration_ms: int) -> None:
    """A duration counts as itself or as up to 1/32 longer, and its step as itself."""
    step = duration_step(duration_ms)
    assert duration_ms <= step <= duration_ms * 33 / 32
    assert step == duration_step(step)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_steps_keep_the_order(one: int, other: int) -> None:
    """A longer duration never counts as shorter."""
    assert duration_step(min(one, other)) <= duration_step(max(one, other))


def test_there_are_few_steps() -> None:
    """Everything up to ten minutes fits into fewer than 500 steps."""
    assert len({duration_step(n) for n in range(600_001)}) < 500
