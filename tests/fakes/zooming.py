"""Users who zoom about in charts, and leave many of them before they are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HOUR_MS = 3_600_000
WIDTHS_H = (2, 6, 12, 24, 72, 168, 336, 720)
CHARTS = 8
POINTS_PER_CHART = 4
LEAVING = 0.5


@dataclass(frozen=True, slots=True)
class Look:
    """
    One look at a chart.

    Attributes:
        points: Of the chart.
        start_ms, end_ms: The range.
        leaves_after: When the user leaves, as a share of the upstream's latency; None: he stays.
        pause: How long he looks at what he got, as such a share.
    """

    points: tuple[str, ...]
    start_ms: int
    end_ms: int
    leaves_after: float | None
    pause: float


def looks(seed: str, points: Sequence[str], first_ms: int, last_ms: int) -> Iterator[Look]:
    """Yield what a user looks at, for ever; the same for the same seed."""
    dice = random.Random(seed)
    charts = [
        tuple(points[n * POINTS_PER_CHART : (n + 1) * POINTS_PER_CHART]) for n in range(CHARTS)
    ]
    chart, level = charts[0], 4
    center_ms = (first_ms + last_ms) // 2
    while True:
        if dice.random() < 0.3:
            chart = dice.choice(charts)
        level = min(max(level + dice.choice((-2, -1, 0, 1, 1, 2)), 0), len(WIDTHS_H) - 1)
        width_ms = WIDTHS_H[level] * HOUR_MS
        center_ms += round(width_ms * dice.uniform(-0.6, 0.6))
        start_ms = min(max(center_ms - width_ms // 2, first_ms), last_ms - width_ms)
        yield Look(
            chart,
            start_ms,
            start_ms + width_ms,
            dice.uniform(0.05, 0.95) if dice.random() < LEAVING else None,
            dice.uniform(0.05, 0.4),
        )
