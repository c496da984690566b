"""Tests of the time that never goes back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from building_vitals.platform.steady import SteadyTime

START_MS = 1_767_225_600_000


def readings(*clock_ms: int) -> list[int]:
    """Return what is read at each time of the clock but the first, since the first."""
    coming = iter(clock_ms)
    time = SteadyTime(lambda: next(coming))
    return [time.now_ms() - clock_ms[0] for _ in clock_ms[1:]]


def test_time_goes_on_by_what_passes() -> None:
    """It begins at what the clock says."""
    assert [0, 250, 1250] == readings(START_MS, START_MS, START_MS + 250, START_MS + 1250)


@pytest.mark.parametrize("step_ms", [3, 1000, 600_000])
def test_a_step_back_is_left_out(step_ms: int) -> None:
    """It stands still for the step alone, and goes on from there."""
    later_ms = START_MS + 1000 - step_ms
    found = readings(START_MS, START_MS + 1000, later_ms, later_ms + 1000)
    assert [1000, 1000, 2000] == found
    assert all(later >= earlier for earlier, later in pairwise(found))
