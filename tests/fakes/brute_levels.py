"""Levels by their definition: slow, and written without a look at the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NAMES = {15 * MINUTE_MS: "15m", HOUR_MS: "1h", 4 * HOUR_MS: "4h", DAY_MS: "1d", 7 * DAY_MS: "7d"}

# An instant and the JSON text of a value.
Plain = tuple[int, str]


@cache
def value_of(text: str) -> Any:
    return json.loads(text)


def is_number(text: str) -> bool:
    return type(value_of(text)) in (int, float)


def run_of(text: str) -> str:
    """Return what is the same throughout a run of one state."""
    return "number" if is_number(text) else text


def of_bucket(samples: list[Plain]) -> set[Plain]:
    """Return what a level keeps of the samples of one bucket."""
    numbers = [(ms, text) for ms, text in samples if is_number(text)]
    by_value: Callable[[Plain], Any] = lambda each: value_of(each[1])  # noqa: E731
    kept = {samples[0], samples[-1]}
    if numbers:
        # The first of equals, both times.
        kept |= {numbers[0], numbers[-1], min(numbers, key=by_value), max(numbers, key=by_value)}
    states: list[str] = []
    for ms, text in samples:
        if not is_number(text) and text not in states and len(states) < 4:
            states.append(text)
            kept.add((ms, text))
    runs = 0
    for before, sample in zip([None, *samples], samples, strict=False):
        if before is None or run_of(before[1]) != run_of(sample[1]):
            runs += 1
            if runs <= 4:
                kept.add(sample)
    return kept


def level(samples: list[Plain], width_ms: int) -> list[Plain]:
    """Return the level of a width; 0 is that of all samples."""
    if not width_ms:
        return list(samples)
    buckets: dict[int, list[Plain]] = {}
    for sample in samples:
        buckets.setdefault(sample[0] // width_ms, []).append(sample)
    return sorted(sample for bucket in buckets.values() for sample in of_bucket(bucket))


def finest(samples: list[Plain], max_points: int) -> tuple[str, list[Plain]] | None:
    """Return the finest level that fits, and its samples; None where none does up to 7 days."""
    for width_ms in (0, *NAMES):
        found = level(samples, width_ms)
        if len(found) <= max_points:
            return NAMES.get(width_ms, "raw"), found
    return None
