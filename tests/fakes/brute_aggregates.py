"""Aggregates as they are defined, sample by sample in fractions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from building_vitals.ranges import Range


class Reading(NamedTuple):
    """A sample that is a number, with its digits."""

    time_ms: int
    raw: str

    @property
    def value(self) -> Fraction:
        """The number that a double has of it."""
        return (
            Fraction(int(self.raw)) if self.raw.lstrip("-").isdigit() else Fraction(float(self.raw))
        )


def brute_row(name: str, bucket: Range, held: Sequence[Reading], before: Reading | None) -> Any:
    """
    Return an aggregate of a bucket.

    Args:
        name: Of the aggregate.
        bucket: Cut to the range at its end.
        held: Its numbers.
        before: The number before them in the range.
    """
    simple: dict[str, Callable[[], Any]] = {
        "count": lambda: len(held),
        "first": lambda: held[0].raw,
        "last": lambda: held[-1].raw,
        "min": lambda: min(held, key=lambda each: each.value).raw,
        "max": lambda: max(held, key=lambda each: each.value).raw,
        "sum": lambda: sum(each.value for each in held),
        "mean": lambda: sum(each.value for each in held) / len(held),
        "delta": lambda: _increase(
            [each.value for each in ([before] if before else []) + list(held)]
        ),
        "twa": lambda: _weighted_mean(bucket, held, before),
    }
    return simple[name]()


def _increase(values: Sequence[Fraction]) -> Fraction:
    steps = pairwise(values)
    return sum((after if after < each else after - each for each, after in steps), Fraction())


def _weighted_mean(bucket: Range, held: Sequence[Reading], before: Reading | None) -> Fraction:
    begin_ms = held[0].time_ms if before is None else bucket.start_ms
    known = list(held) if before is None else [Reading(begin_ms, before.raw), *held]
    ends = [*(each.time_ms for each in known[1:]), bucket.end_ms]
    integral = sum(
        (each.value * (end_ms - each.time_ms) for each, end_ms in zip(known, ends, strict=True)),
        Fraction(),
    )
    return integral / (bucket.end_ms - begin_ms)
