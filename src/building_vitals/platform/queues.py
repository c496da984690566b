"""Queue messages on their way out and in: the `ChunkSender` port, and the consumer's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pyodide.ffi import JsException

from building_vitals.errors import Unavailable
from building_vitals.jobs.model import ChunkRef, FollowRef
from building_vitals.platform.lookup import require_binding

BINDINGS = {"high": "CHART_QUEUE_HIGH", "normal": "CHART_QUEUE", "low": "CHART_QUEUE_LOW"}
DELAY_S_MAX = 86_400


class QueueSender:
    """Sends messages to the queue of their priority."""

    def __init__(self, env: Any) -> None:
        self._env = env

    async def send(
        self, refs: Sequence[ChunkRef | FollowRef], priority: str, *, delay_s: int = 0
    ) -> None:
        """Send one message each, at most 100: all of them or none."""
        name = BINDINGS[priority]
        binding = require_binding(self._env, name)
        options = {"delaySeconds": min(delay_s, DELAY_S_MAX)} if delay_s else {}
        messages = [
            {"body": msgspec.to_builtins(ref), "contentType": "json", **options} for ref in refs
        ]
        try:
            await binding.sendBatch(messages)
        except JsException as error:
            raise Unavailable(f"the queue {name} refused: {str(error)[:300]}") from error


class QueueMessage:
    """One message as the runtime delivers it."""

    def __init__(self, message: Any) -> None:
        self._message = message

    @property
    def body(self) -> Any:
        """What was sent; a JSON object is a plain dict."""
        body = self._message.body
        return dict(body) if isinstance(body, dict) else body

    @property
    def attempts(self) -> int:
        """Deliveries, this one included."""
        return int(self._message.attempts)

    def ack(self) -> None:
        """End the delivery: the message is dealt with."""
        self._message.ack()

    def retry(self, delay_s: int) -> None:
        """Have it delivered again, not before *delay_s* have passed."""
        self._message.retry({"delaySeconds": min(max(delay_s, 0), DELAY_S_MAX)})
