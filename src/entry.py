"""
The Worker's entry point: three handlers that hand over to the package.
"""

from __future__ import annotations

from typing import Any

from workers import WorkerEntrypoint

from building_vitals.platform.runtime import serve_request


class Default(WorkerEntrypoint):
    """
    Receives what the runtime delivers to this Worker.
    """

    async def fetch(self, request: Any) -> Any:
        """
        Answer one HTTP request.
        """
        return await serve_request(request, self.env, self.ctx)
