"""
Answers that were given a moment ago, kept ready in the isolate's memory.

What an answer is made of is looked up at most once a second (`cache.look_ups`); its bytes are
kept for longer, because objects are immutable and what has the same entity tag has the same
samples. Together they answer a chart that is asked for again without a call of any binding.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from building_vitals.answers.answer import CacheReport, TimeseriesAnswer, answer_meta
from building_vitals.answers.formats.spliced_json import SealedBody, SealedJson, SplicedJson
from building_vitals.answers.pieces import PointPieces
from building_vitals.answers.question import Question
from building_vitals.cache.look_ups import LookUps

# All kept answers together; the isolate has 128 MB.
MEMORY_BYTES_MAX = 6_291_456


class AnswerPlan(NamedTuple):
    """
    All that an answer from the cache needs, until the first of its segments expires.

    Attributes:
        object_keys: The objects it is made of, for the statistics.
        known_until: Of a followed site: the end of its last round, when it was prepared.
    """

    parts: list[PointPieces]
    answer_etag: str
    expires_ms: int
    object_keys: tuple[str, ...]
    known_until: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def report(self) -> CacheReport:
        """What the cache does for it: all."""
        return CacheReport("hit", known_until=self.known_until)


class RecentAnswers:
    """Keeps the answers used last, as many as fit."""

    def __init__(self, look_ups: LookUps, bytes_max: int = MEMORY_BYTES_MAX) -> None:
        self._look_ups = look_ups
        self._bytes_max = bytes_max
        self._bytes = 0
        self._sealed: OrderedDict[str, SealedJson] = OrderedDict()

    @property
    def generation(self) -> int:
        """What `prepare` is to be given that was read before the index was asked."""
        return self._look_ups.generation

    def answer(self, question: Question, now_ms: int) -> TimeseriesAnswer | None:
        """Return the answer, if it was given a moment ago."""
        prepared = self.prepared(question, now_ms)
        if prepared is None:
            return None
        answer = TimeseriesAnswer(
            report=prepared.report,
            object_keys=prepared.object_keys,
            answer_etag=prepared.answer_etag,
        )
        if question.matches(prepared.answer_etag) or self.resume(answer, question, now_ms):
            return answer
        return None

    def prepared(self, question: Question, now_ms: int) -> AnswerPlan | None:
        """Return what an answer needs, if the index said so a moment ago."""
        prepared: AnswerPlan | None = self._look_ups.find(question.look_up_key, now_ms)
        return prepared if prepared is not None and now_ms < prepared.expires_ms else None

    def prepare(
        self, question: Question, prepared: AnswerPlan, found_ms: int, generation: int
    ) -> None:
        """Keep what an answer needs, unless the index has lost some since that *generation*."""
        self._look_ups.keep(question.look_up_key, prepared, found_ms, generation)

    def resume(self, answer: TimeseriesAnswer, question: Question, now_ms: int) -> bool:
        """Give an answer its body, if one with its entity tag is kept; return whether it is."""
        sealed = self._sealed.get(answer.answer_etag or "")
        if sealed is None or answer.answer_etag is None:
            return False
        self._sealed.move_to_end(answer.answer_etag)
        answer.samples = answer.report.samples_from_cache = sealed.samples
        end = SplicedJson.resumed(sealed).finish(answer_meta(answer, question, now_ms))
        answer.first = SealedBody(sealed, end)
        return True

    def keep(self, answer_etag: str, sealed: SealedJson) -> None:
        """Keep a body, and let go of those that were used least recently."""
        if answer_etag in self._sealed or len(sealed.data) > self._bytes_max:
            return
        self._sealed[answer_etag] = sealed
        self._bytes += len(sealed.data)
        while self._bytes > self._bytes_max:
            _, oldest = self._sealed.popitem(last=False)
            self._bytes -= len(oldest.data)
