"""
Answers that were asked for before, kept ready in the isolate's memory.

What an answer is made of is still looked up each time; this only spares reading and joining the
same bytes again. Objects are immutable, so what has the same entity tag has the same samples.
"""

from __future__ import annotations

from collections import OrderedDict

from building_vitals.core.encoders import SealedJson

# All kept answers together; the isolate has 128 MB.
MEMORY_BYTES_MAX = 6_291_456


class AnswerMemory:
    """
    Keeps the answers used last, as many as fit.
    """

    def __init__(self, bytes_max: int = MEMORY_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[str, SealedJson] = OrderedDict()

    def find(self, etag: str) -> SealedJson | None:
        """
        Return the answer of this entity tag, if it is kept.
        """
        found = self._answers.get(etag)
        if found is not None:
            self._answers.move_to_end(etag)
        return found

    def keep(self, etag: str, answer: SealedJson) -> None:
        """
        Keep an answer, and let go of those that were used least recently.
        """
        if etag in self._answers or len(answer.data) > self._bytes_max:
            return
        self._answers[etag] = answer
        self._bytes += len(answer.data)
        while self._bytes > self._bytes_max:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest.data)
