"""The binding of Analytics Engine, as far as plain Python can stand in for it."""

from __future__ import annotations

import json
from typing import Any

from building_vitals.platform.analytics_engine import AnalyticsEngine
from building_vitals.statistics.metrics import METRICS_PER_INVOCATION_MAX, metric

POINT = metric("hq", ("request", "id"), (1.0, 2.0))


class Crossing:
    """Keeps what would be handed to JavaScript."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, list[dict[str, Any]]]] = []

    def __call__(self, binding: Any, points: str) -> None:
        """Keep points."""
        self.sent.append((binding, json.loads(points)))


def test_points_cross_together_with_one_index_each() -> None:
    """Whatever their number, points are one text."""
    crossing = Crossing()
    assert 2 == AnalyticsEngine(lambda: "binding", crossing).write([POINT, POINT])
    point = {"indexes": ["hq"], "blobs": ["request", "id"], "doubles": [1.0, 2.0]}
    assert [("binding", [point, point])] == crossing.sent


def test_an_invocation_writes_250_points() -> None:
    """What would be refused is not written."""
    crossing = Crossing()
    engine = AnalyticsEngine(lambda: "binding", crossing)
    assert [200, 50, 0] == [engine.write([POINT] * 200) for _ in range(3)]
    assert METRICS_PER_INVOCATION_MAX == sum(len(points) for _, points in crossing.sent)
    assert 2 == len(crossing.sent)


def test_without_the_binding_nothing_happens() -> None:
    """A Worker that has no dataset works all the same."""
    crossing = Crossing()
    assert 0 == AnalyticsEngine(lambda: None, crossing).write([POINT])
    assert [] == crossing.sent
