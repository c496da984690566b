"""What the periodic work of every room shares."""

from __future__ import annotations

import pytest

from building_vitals.upkeep import ROUNDS_MAX, repeat_rounds


@pytest.mark.parametrize(
    ("changes", "rounds"),
    [
        pytest.param([], 1, id="nothing to do"),
        pytest.param([5, 3], 3, id="until a round changes nothing"),
        pytest.param([1] * ROUNDS_MAX, ROUNDS_MAX, id="a whole share"),
        pytest.param([1] * (ROUNDS_MAX + 5), ROUNDS_MAX, id="more than a share"),
    ],
)
async def test_rounds_are_repeated_while_they_change_something(
    changes: list[int], rounds: int
) -> None:
    """A run does rounds until one changes nothing, ten at most, and says what all have changed."""
    run: list[int] = []

    async def change() -> int:
        run.append(changes[len(run)] if len(run) < len(changes) else 0)
        return run[-1]

    assert sum(changes[:ROUNDS_MAX]) == await repeat_rounds(change)
    assert rounds == len(run)
