"""
Writes data points to Analytics Engine.

The binding checks nothing: `core.data_points` keeps the limits of a point, this module the one of
an invocation.
"""

from __future__ import annotations

from typing import Any

from building_vitals.core.data_points import POINTS_PER_INVOCATION_MAX, DataPoint


class AnalyticsEngine:
    """
    Writes points for one invocation; where the Worker has no such binding, they are dropped.
    """

    def __init__(self, binding: Any | None) -> None:
        self._binding = binding
        self._written = 0

    def write(self, point: DataPoint) -> bool:
        """
        Write a point; return whether it was, which it is not when the invocation has no more.
        """
        if self._binding is None or self._written >= POINTS_PER_INVOCATION_MAX:
            return False
        self._written += 1
        # Lists: the SDK refuses tuples.
        self._binding.writeDataPoint(
            {
                "indexes": [point.index],
                "blobs": list(point.blobs),
                "doubles": list(point.doubles),
            }
        )
        return True
