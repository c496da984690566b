"""
How many answers of an isolate are streamed at once, and how much each holds meanwhile.

Who reads slowly keeps what was read ahead for it in memory, for as long as it likes. So answers are
made of smaller parts where many are under way, and beyond a number of them none is begun.
"""

from __future__ import annotations

from building_vitals.errors import Overloaded

# Streams that are open at once: 30 take 48 MB of a fresh isolate.
STREAMS_MAX = 32
# Those of them that are made of large parts, read ahead.
WIDE_MAX = 6
# Stored bytes that are read and encoded at a time.
WIDE_BYTES = 1_048_576
NARROW_BYTES = 131_072
# A stream that has not gone on for so long no longer counts: its invocation may have been ended.
LIFE_SIGN_MS = 300_000
RETRY_AFTER_S = 15


class StreamLimit:
    """The open streams of an isolate, and when each went on last; plain data."""

    def __init__(self) -> None:
        self._seen_ms: dict[StreamPlace, int] = {}

    def enter(self, now_ms: int) -> StreamPlace:
        """
        Count a stream.

        Raises:
            Overloaded: there are as many as may be.
        """
        self._seen_ms = {
            place: seen_ms
            for place, seen_ms in self._seen_ms.items()
            if now_ms - seen_ms < LIFE_SIGN_MS
        }
        if len(self._seen_ms) >= STREAMS_MAX:
            raise Overloaded(
                "too many large answers are under way: others have to be read first",
                retry_after_s=RETRY_AFTER_S,
            )
        place = StreamPlace(self)
        self._seen_ms[place] = now_ms
        return place

    def touch(self, place: StreamPlace, now_ms: int) -> None:
        """Note that a stream goes on."""
        self._seen_ms[place] = now_ms

    def leave(self, place: StreamPlace) -> None:
        """Count a stream no longer; one that has left already does no harm."""
        self._seen_ms.pop(place, None)

    @property
    def is_busy(self) -> bool:
        """Whether streams are to be made of small parts."""
        return len(self._seen_ms) > WIDE_MAX


class StreamPlace:
    """The place of one stream among those of its isolate."""

    def __init__(self, limit: StreamLimit) -> None:
        self._limit = limit

    @property
    def window_bytes(self) -> int:
        """Stored bytes to be read at a time now."""
        return NARROW_BYTES if self._limit.is_busy else WIDE_BYTES

    @property
    def reads_ahead(self) -> bool:
        """Whether the next part is to be read now while one is encoded."""
        return not self._limit.is_busy

    def touch(self, now_ms: int) -> None:
        """Note that the stream goes on."""
        self._limit.touch(self, now_ms)

    def leave(self) -> None:
        """Count it no longer."""
        self._limit.leave(self)
