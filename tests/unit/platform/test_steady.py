"""Tests of the time that never goes back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from building_vitals.platform.steady import SteadyTime

START_MS = 1_767_225_600_000


def readings(*ticks_s: float) -> list[int]:
    """Return what is read at each tick but the first, as milliseconds since the start."""
    coming = iter(ticks_s)
    time = SteadyTime(START_MS, lambda: next(coming))
    return [time.now_ms() - START_MS for _ in ticks_s[1:]]


def test_time_goes_on_by_what_passes() -> None:
    """It begins at the instant given, whatever the ticks count from."""
    assert [0, 250, 1250] == readings(77.0, 77.0, 77.25, 78.25)


@pytest.mark.parametrize("step_s", [0.003, 1.0, 600.0])
def test_a_step_back_is_left_out(step_s: float) -> None:
    """It stands still for the step alone, and goes on from there."""
    found = readings(1000.0, 1001.0, 1001.0 - step_s, 1002.0 - step_s)
    assert [1000, 1000, 2000] == found
    assert all(later >= earlier for earlier, later in pairwise(found))
