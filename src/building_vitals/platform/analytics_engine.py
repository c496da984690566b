"""
Writes data points to Analytics Engine.

The binding checks nothing: `core.data_points` keeps the limits of a point, this module the one of
an invocation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from building_vitals.core.data_points import POINTS_PER_INVOCATION_MAX, DataPoint


class AnalyticsEngine:
    """
    Writes points for one invocation; where the Worker has no such binding, they are dropped.
    """

    def __init__(self, binding: Any | None, send: Callable[[Any, str], None]) -> None:
        """
        Args:
            send: Gives the binding a JSON array of points.
        """
        self._binding = binding
        self._send = send
        self._left = POINTS_PER_INVOCATION_MAX

    def write(self, points: Sequence[DataPoint]) -> int:
        """
        Write points, as many as the invocation may; return how many.
        """
        if self._binding is None:
            return 0
        written = points[: self._left]
        if written:
            self._left -= len(written)
            documents = [
                {"indexes": [each.index], "blobs": each.blobs, "doubles": each.doubles}
                for each in written
            ]
            self._send(self._binding, msgspec.json.encode(documents).decode())
        return len(written)
