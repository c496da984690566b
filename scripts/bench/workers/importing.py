"""A Worker that imports the package when it is asked to, for `bench.py startup`."""

from __future__ import annotations

import json
import sys
from typing import Any

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Is healthy without the package, and imports it at any other address."""

    async def fetch(self, request: Any) -> Any:
        """Answer with the number of the package's modules."""
        if "/api/health" in request.url:
            return Response('{"status": "healthy"}')
        import building_vitals.platform.runtime  # noqa: F401, PLC0415 - what is measured

        names = [name for name in sys.modules if name.startswith("building_vitals")]
        return Response(json.dumps({"modules": len(names)}))
