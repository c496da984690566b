"""Weights of sampled requests."""

from __future__ import annotations

import random

import pytest

from building_vitals.statistics.events import drawn_weight


@pytest.mark.parametrize("rate", [0.9, 0.5, 0.3, 0.07])
def test_weights_count_without_bias(rate: float) -> None:
    """The sum of the weights is the number of requests, as near as chance allows."""
    chance = random.Random(7).random
    count = 200_000
    weights = [drawn_weight(rate, chance) for _ in range(count)]
    assert abs(sum(weights) / count - 1) < 0.03
    drawn = [weight for weight in weights if weight]
    assert abs(len(drawn) / count - rate) < 0.01
    assert {int(1 / rate), int(1 / rate) + 1} >= set(drawn)


def test_all_or_none() -> None:
    """At rate 1 each request stands for itself, at 0 none is recorded; no chance is asked."""
    chance = iter(()).__next__
    assert 1 == drawn_weight(1.0, chance)
    assert 0 == drawn_weight(0.0, chance)
