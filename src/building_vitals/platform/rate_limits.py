"""The `RateLimiter` port on a rate limiting binding."""

from __future__ import annotations

from typing import Any

from pyodide.ffi import JsException

from building_vitals.platform.log import write_line
from building_vitals.platform.lookup import find_binding


class BoundRateLimiter:
    """
    Counts at Cloudflare's edge: by location, approximately, and without a round trip.

    A limit protects the Worker's budget and decides nothing about access. So it lets callers pass
    where it is missing or broken, and the log says that once.
    """

    def __init__(self, env: Any, name: str, told: set[str]) -> None:
        """
        Args:
            env: The Worker's bindings.
            name: Of the binding.
            told: Bindings whose fault the log has been told of.
        """
        self._env = env
        self._name = name
        self._told = told

    async def take(self, key: str) -> bool:
        """Count one request of a key; return whether it is within the limit."""
        binding = find_binding(self._env, self._name)
        if binding is None:
            self._tell("the binding is missing: no limit")
            return True
        try:
            return bool((await binding.limit(key=key))["success"])
        except (JsException, KeyError, TypeError) as error:
            self._tell(f"the binding failed, no limit: {error}"[:300])
            return True

    def _tell(self, detail: str) -> None:
        if self._name not in self._told:
            self._told.add(self._name)
            write_line("fault", where=self._name, detail=detail)
