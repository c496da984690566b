"""Sums without a rounding error, of any numbers that a sample can be."""

from __future__ import annotations

from fractions import Fraction

import pytest

from building_vitals.series.exact import (
    Part,
    exact_parts,
    quotient_of,
    total_of,
    weighted,
    weighted_parts,
)

LARGE = 1.5e308


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        pytest.param([1, 2, 3], 6, id="integers"),
        pytest.param([2**70, 1, -(2**70)], 1, id="integers beyond double"),
        pytest.param([0.1] * 10, 1.0, id="tenths"),
        pytest.param([1e100, 1.0, -1e100], 1.0, id="what a running sum loses"),
        pytest.param([1, 0.5], 1.5, id="mixed"),
        pytest.param([2**60 + 1, 0.5, -(2**60)], 1.5, id="a large integer among floats"),
        pytest.param([LARGE, LARGE, -LARGE], LARGE, id="too large on the way"),
        pytest.param([LARGE, LARGE], None, id="too large"),
        pytest.param([10**308, 10**308], None, id="integers that are too large"),
        pytest.param([], 0, id="none"),
    ],
)
def test_totals(numbers: list[Part], expected: float | None) -> None:
    """The nearest number, an integer of integers; parts of parts are the same."""
    total = total_of(numbers)
    assert (type(expected), expected) == (type(total), total)
    again = total_of([*exact_parts(numbers[:1]), *exact_parts(numbers[1:])])
    assert expected == again


def test_quotients_are_rounded_once() -> None:
    """Three tenths divided by three are a tenth, and a mean of large numbers is found."""
    assert 0.1 == quotient_of(exact_parts([0.1] * 3), 3)
    assert LARGE == quotient_of(exact_parts([LARGE] * 4), 4)
    assert 2.0 == quotient_of((6,), 3)
    assert quotient_of((Fraction(LARGE) * 4,), 2) is None


def test_weights() -> None:
    """Each number counts as often as its weight says, be the product too large for a double."""
    assert (7,) == weighted_parts([1, 2], [3, 2])
    assert (6, 1.5) == (weighted(2, 3), weighted(0.5, 3))
    assert (3 * Fraction(LARGE), 9 * 10**308) == (weighted(LARGE, 3), weighted(10**308, 9))
    assert 3.5 == total_of(weighted_parts([0.5, 1.5], [1, 2]))
    assert LARGE == quotient_of(weighted_parts([LARGE, LARGE], [60_000, 60_000]), 120_000)
    assert 1e308 == quotient_of(weighted_parts([10**308, 10**308], [7, 8]), 15)
