"""
Sums of numbers without a rounding error, in few calls over many.

Separate because every aggregate that adds up rests on it: a sum must not depend on how its numbers
were cut into frames, buckets and hours. Imported late, with the aggregates.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import fsum, isfinite
from operator import mul
from typing import TypeAlias

Number: TypeAlias = int | float
# A number, or what no double is large enough for.
Part: TypeAlias = int | float | Fraction

# Integers up to here are doubles, too.
INTEGER_MAX = 1 << 53
_INTEGERS = frozenset({int})
_FLOATS = frozenset({float})


def exact_parts(numbers: Sequence[Part]) -> tuple[Part, ...]:
    """
    Return one or two numbers whose sum is that of the given ones, right to a part in 2^100.

    Of integers alone it is one integer.
    """
    if len(numbers) == 1:
        return (numbers[0],)
    kinds = set(map(type, numbers))
    if kinds <= _INTEGERS:
        return (sum(numbers),)
    if kinds <= _FLOATS or (Fraction not in kinds and _are_small(numbers)):
        try:
            total = fsum(numbers)
            rest = fsum([*numbers, -total])
        except OverflowError:
            pass
        else:
            return (total, rest) if rest else (total,)
    return (sum((Fraction(each) for each in numbers), Fraction()),)


def weighted(number: Number, weight: int) -> Part:
    """Return a number times a weight, rounded as doubles are; a fraction where none is so large."""
    try:
        product = number * weight
        if isfinite(product):
            return product
    except OverflowError:
        pass
    return Fraction(number) * weight


def weighted_parts(numbers: Sequence[Number], weights: Sequence[int]) -> tuple[Part, ...]:
    """Return the same of each number times its weight; each product is rounded as doubles are."""
    try:
        parts = exact_parts(list(map(mul, numbers, weights)))
        if isfinite(parts[0]):
            return parts
    except (OverflowError, ValueError):
        # Of infinities a sum is refused.
        pass
    # A product is out of a double's reach, though a mean of them is not.
    return exact_parts(list(map(mul, [Fraction(each) for each in numbers], weights)))


def _are_small(numbers: Sequence[Part]) -> bool:
    """Return whether the integers among some numbers are doubles, too; there may be none."""
    return max(numbers) <= INTEGER_MAX and min(numbers) >= -INTEGER_MAX


def total_of(parts: Sequence[Part]) -> Number | None:
    """Return the nearest number to a sum, an integer of integers; None where no double is."""
    if set(map(type, parts)) == _FLOATS:
        try:
            return fsum(parts)
        except OverflowError:
            # On the way, or of all of it.
            pass
    total = exact_parts(parts)[0]
    if isinstance(total, float):
        return total
    nearest = ratio(total.numerator, total.denominator)
    return total if isinstance(total, int) and nearest is not None else nearest


def quotient_of(parts: Sequence[Part], divisor: int) -> float | None:
    """Return the nearest double to a sum of some parts divided by a number; None for none."""
    above, below = parts[0].as_integer_ratio()
    for part in parts[1:]:
        own_above, own_below = part.as_integer_ratio()
        above, below = above * own_below + own_above * below, below * own_below
    return ratio(above, below * divisor)


def ratio(above: int, below: int) -> float | None:
    """Return the nearest double to a fraction; None where there is none."""
    try:
        # Of integers, division rounds but once.
        return above / below
    except OverflowError:
        return None
