"""
Server-Sent Events, as far as jobs use them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Event(NamedTuple):
    """
    One event.

    Attributes:
        name: `message` where the stream names none.
        data: Lines joined by line feeds.
    """

    name: str
    data: str


class EventReader:
    """
    Cuts a stream into events.

    Args:
        take: Called with each event; returns whether no more are wanted.
    """

    def __init__(self, take: Callable[[Event], bool]) -> None:
        self._take = take
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> bool:
        """Take inflated bytes, cut anywhere; returns whether no more are wanted."""
        text = self._rest + chunk
        # A carriage return at the end may be half of a line's end.
        held = text[-1:] if text.endswith(b"\r") else b""
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = lines.split(b"\n")
        self._rest = rest + held
        return any(self._line(line.decode("utf-8", "replace")) for line in whole)

    def _line(self, line: str) -> bool:
        if line:
            name, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if name == "event":
                self._name = value
            elif name == "data":
                self._data.append(value)
            return False
        event = Event(self._name or "message", "\n".join(self._data))
        is_empty, self._name, self._data = not self._data, "", []
        return not is_empty and self._take(event)
