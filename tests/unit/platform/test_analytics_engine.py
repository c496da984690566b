"""The binding of Analytics Engine, as far as plain Python can stand in for it."""

from __future__ import annotations

from typing import Any

from building_vitals.core.data_points import POINTS_PER_INVOCATION_MAX, data_point
from building_vitals.platform.analytics_engine import AnalyticsEngine

POINT = data_point("hq", ("request", "id"), (1.0, 2.0))


class Binding:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.points: list[dict[str, Any]] = []

    def writeDataPoint(self, point: dict[str, Any]) -> None:
        """Keep a point."""
        self.points.append(point)


def test_a_point_is_written_with_one_index() -> None:
    """The binding gets lists, of which it makes arrays; tuples it would refuse."""
    binding = Binding()
    assert AnalyticsEngine(binding).write(POINT)
    assert [
        {"indexes": ["hq"], "blobs": ["request", "id"], "doubles": [1.0, 2.0]}
    ] == binding.points
    assert {list} == {type(each) for each in binding.points[0].values()}


def test_an_invocation_writes_250_points() -> None:
    """What would be refused is not written."""
    binding = Binding()
    engine = AnalyticsEngine(binding)
    assert [True] * 250 + [False] * 3 == [engine.write(POINT) for _ in range(253)]
    assert POINTS_PER_INVOCATION_MAX == len(binding.points)


def test_without_the_binding_nothing_happens() -> None:
    """A Worker that has no dataset works all the same."""
    assert not AnalyticsEngine(None).write(POINT)
