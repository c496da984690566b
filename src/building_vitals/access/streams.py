"""Counts the event streams that each key has open in an isolate."""

from __future__ import annotations

from building_vitals.errors import RateLimited

STREAMS_MAX = 20
# A stream that shows no sign of life for so long no longer counts: its client left without a word,
# or its invocation was ended from outside.
LIFE_SIGN_MS = 45_000
RETRY_AFTER_S = 15


class OpenStreams:
    """
    The open streams of all keys.

    Each isolate counts by itself: what a stream costs is its place in an isolate's memory.
    """

    def __init__(self) -> None:
        self._seen_ms: dict[str, dict[str, int]] = {}

    def open(self, key_id: str, stream_id: str, now_ms: int) -> None:
        """
        Count a stream.

        Raises:
            RateLimited: the key has STREAMS_MAX open.
        """
        alive = {
            stream: seen_ms
            for stream, seen_ms in self._seen_ms.get(key_id, {}).items()
            if now_ms - seen_ms < LIFE_SIGN_MS
        }
        if len(alive) >= STREAMS_MAX:
            self._seen_ms[key_id] = alive
            raise RateLimited(
                f"too many event streams with this API key: {len(alive)} are open, and "
                f"{STREAMS_MAX} are allowed; close one, or ask for the job itself",
                retry_after_s=RETRY_AFTER_S,
            )
        alive[stream_id] = now_ms
        self._seen_ms[key_id] = alive

    def touch(self, key_id: str, stream_id: str, now_ms: int) -> None:
        """Note that a stream is alive; one that has been closed stays so."""
        streams = self._seen_ms.get(key_id)
        if streams is not None and stream_id in streams:
            streams[stream_id] = now_ms

    def close(self, key_id: str, stream_id: str) -> None:
        """Count a stream no longer; one that has been closed already does no harm."""
        streams = self._seen_ms.get(key_id)
        if streams is None:
            return
        streams.pop(stream_id, None)
        if not streams:
            del self._seen_ms[key_id]

    def count(self, key_id: str) -> int:
        """Return how many streams of a key count."""
        return len(self._seen_ms.get(key_id, {}))
