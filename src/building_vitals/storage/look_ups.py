"""
What the index said a moment ago, kept in the isolate's memory.

A chart that many people watch asks the index the same question many times a second; one of them
asks for all. Truth stays in the database: an answer is believed for a second, in this isolate
alone, and only as to what is known. What seems missing is always looked up anew.
"""

from __future__ import annotations

from collections import OrderedDict

from building_vitals.core.ranges import Range
from building_vitals.core.segments import Segment

BELIEVED_MS = 1000
LOOK_UPS_MAX = 64
# Larger results are not kept.
SEGMENTS_MAX = 2000

Question = tuple[str, tuple[str, ...], Range]


class LookUps:
    """
    Keeps the latest look-ups.
    """

    def __init__(self, believed_ms: int = BELIEVED_MS) -> None:
        self._believed_ms = believed_ms
        self._found: OrderedDict[Question, tuple[int, list[Segment]]] = OrderedDict()

    def find(self, question: Question, now_ms: int) -> list[Segment] | None:
        """
        Return what was found, if that was a moment ago.
        """
        found = self._found.get(question)
        if found is None or not 0 <= now_ms - found[0] < self._believed_ms:
            return None
        return found[1]

    def keep(self, question: Question, segments: list[Segment], now_ms: int) -> None:
        """
        Keep what was found.
        """
        if len(segments) > SEGMENTS_MAX:
            return
        self._found[question] = (now_ms, segments)
        self._found.move_to_end(question)
        while len(self._found) > LOOK_UPS_MAX:
            self._found.popitem(last=False)

    def forget(self) -> None:
        """
        Forget everything: something has been removed from the index.
        """
        self._found.clear()
