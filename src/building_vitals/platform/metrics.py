"""
Hands data points to the Analytics Engine binding, all in one crossing into JavaScript.

Separate from `analytics_engine`, which runs without the runtime.
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import JsException

from building_vitals.errors import Unavailable


def send_metrics(binding: Any, points: str) -> None:
    """
    Write points.

    Args:
        binding: As the SDK wraps it, or bare.
        points: JSON array of `{"indexes", "blobs", "doubles"}`. One text crosses 50 times faster
            than the values one by one (140 µs a point, measured 2026-11-24 in workerd).

    Raises:
        Unavailable: the binding refuses.
    """
    # The SDK's wrapper keeps the binding as it is there.
    bare = getattr(binding, "_binding", binding)
    try:
        js.JSON.parse(points).forEach(bare.writeDataPoint.bind(bare))
    except JsException as error:
        raise Unavailable(f"Analytics Engine refused: {str(error)[:300]}") from error
