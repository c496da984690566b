"""The Worker's entry point: three handlers that hand over to the package."""

from __future__ import annotations

from typing import Any

from workers import WorkerEntrypoint

from building_vitals.platform.runtime import consume_batch, run_scheduled, serve_request


class Default(WorkerEntrypoint):
    """Receives what the runtime delivers to this Worker."""

    async def fetch(self, request: Any) -> Any:
        """Answer one HTTP request."""
        return await serve_request(request, self.env, self.ctx)

    async def queue(self, batch: Any, *_: Any) -> None:
        """Deal with a batch of queue messages."""
        await consume_batch(batch, self.env, self.ctx)

    async def scheduled(self, controller: Any, *_: Any) -> None:
        """Do what the cron trigger is for."""
        await run_scheduled(controller, self.env, self.ctx)
