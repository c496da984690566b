"""
Writes metrics to Analytics Engine.

The binding checks nothing: `statistics.metrics` keeps the limits of a metric, this module the one
of an invocation. It touches no JavaScript, so that it is tested in CPython; `metrics` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from building_vitals.statistics.metrics import METRICS_PER_INVOCATION_MAX, Metric


class AnalyticsEngine:
    """Writes metrics for one invocation; where the Worker has no such binding, they are dropped."""

    def __init__(
        self, find_binding: Callable[[], Any | None], send: Callable[[Any, str], None]
    ) -> None:
        """
        Args:
            find_binding: Looks the binding up; asked only when there is something to write.
            send: Gives the binding a JSON array of metrics.
        """
        self._find_binding = find_binding
        self._send = send
        self._left = METRICS_PER_INVOCATION_MAX

    def write(self, metrics: Sequence[Metric]) -> int:
        """Write metrics, as many as the invocation may; return how many."""
        written = metrics[: self._left]
        if not written:
            return 0
        binding = self._find_binding()
        if binding is None:
            return 0
        self._left -= len(written)
        documents = [
            {"indexes": [each.index], "blobs": each.blobs, "doubles": each.doubles}
            for each in written
        ]
        self._send(binding, msgspec.json.encode(documents).decode())
        return len(written)
