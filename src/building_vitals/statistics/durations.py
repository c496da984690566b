"""
Rounds durations up to steps, so that a percentile of a million of them needs a few hundred counts.

Every duration counts as the longest of its step: exact below 64 ms, above that at most 1/32 too
long. A percentile of the steps is never too short, and at most 3.2 % too long.
"""

from __future__ import annotations

# Steps between a power of two and the next.
_BITS = 5


def duration_step(duration_ms: int) -> int:
    """Return the longest duration of the same step, milliseconds."""
    duration_ms = max(0, duration_ms)
    shift = max(0, duration_ms.bit_length() - _BITS - 1)
    return ((duration_ms >> shift) + 1 << shift) - 1
