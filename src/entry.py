"""The Worker's entry point: three handlers that hand over to the package."""

from __future__ import annotations

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Receives what the runtime delivers to this Worker."""

    async def fetch(self, request: Request) -> Response:
        """Answer one HTTP request."""
        path = str(request.url).partition("?")[0]
        if path.endswith("/api/health"):
            return Response.json({"status": "healthy", "service": "building-vitals"})
        return Response.json({"title": "not found", "status": 404}, status=404)
