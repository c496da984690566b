"""Answers requests for samples: has gaps fetched, encodes, and reports what it took."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from building_vitals.answers.answer import (
    AnswerMeta,
    CacheReport,
    TimeseriesAnswer,
    answer_meta,
    cache_status,
)
from building_vitals.answers.body import WHOLE_BYTES_MAX, ByteSource, body, encoding
from building_vitals.answers.bypass_limit import BypassLimit
from building_vitals.answers.formats.spliced_json import SplicedJson
from building_vitals.answers.pieces import (
    PointPieces,
    are_kept,
    entity_tag,
    lacks_directory,
    object_keys,
    resolve,
    with_loaded,
)
from building_vitals.answers.question import Question
from building_vitals.answers.recent import AnswerPlan, RecentAnswers
from building_vitals.answers.routing import LargeGaps, RoutingOptions, need_of, needs_job
from building_vitals.answers.stream_limit import StreamLimit
from building_vitals.cache.accesses import Accesses
from building_vitals.cache.coverage import Cover, gaps_of, reach_end
from building_vitals.cache.estimates import (
    estimated_gaps,
    estimated_samples,
    longest_that_fits,
)
from building_vitals.cache.filler import SegmentFiller
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Filling, Need
from building_vitals.cache.segments import DirectoryMissing, Segment
from building_vitals.cache.store import LostObjects, SegmentStore
from building_vitals.errors import AppError, TooLarge, Unavailable, UpstreamTimeout
from building_vitals.ports import Invocation
from building_vitals.upstream.point_names import PointNames
from building_vitals.upstream.profile import Source

if TYPE_CHECKING:
    from building_vitals.cache.compactor import Compactor

# Times that an answer is planned because objects were gone.
LOST_OBJECTS_ATTEMPTS_MAX = 3
# When a request that is too large to be answered without the cache may be tried again.
UNCACHED_RETRY_S = 10
SOURCES: tuple[Source, ...] = ("pages", "points")


class EnhancedTimeseriesService:
    """The read path of samples: answers directly, from the cache, or from a job's segments."""

    def __init__(
        self,
        *,
        filler: SegmentFiller,
        store: SegmentStore,
        index: SegmentIndex,
        compactor: Compactor,
        accesses: Accesses,
        options: RoutingOptions,
        recent: RecentAnswers,
        bypasses: BypassLimit,
        streams: StreamLimit,
        names: PointNames,
        known_until: Callable[[str], int | msgspec.UnsetType],
        invocation: Invocation,
    ) -> None:
        self._filler = filler
        self._store = store
        self._index = index
        self._compactor = compactor
        self._accesses = accesses
        self._clock = invocation.clock
        self._options = options
        self._recent = recent
        self._bypasses = bypasses
        self._streams = streams
        self._names = names
        self._known_until = known_until
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    async def fetch_timeseries(self, question: Question) -> TimeseriesAnswer:
        """
        Return the answer to a request.

        One of the cached route that was not asked for by name is answered whatever its size, as
        long as what is missing of it is not too much; one of the queued route if nothing is.

        Raises:
            LargeGaps: what is missing has to be fetched in the background.
            TooLarge: it asks for more than its route takes.
            RateLimited: the caller may not have so much fetched now.
            UpstreamError: the data can't be had, and nothing kept can stand in for them.
            Unavailable: R2 is down with half of an answer in it and the upstream is too; or as many
                requests go past the cache as may.
        """
        need = need_of(question.request, self._options, self._clock.now_ms())
        if question.route == "direct":
            self._require_size(need)
            return await self._bypass(question, need)
        if question.route == "queued":
            return await self._known(question, need)
        try:
            return await self._cached(question, need)
        except (Unavailable, TimeoutError, LostObjects) as error:
            if isinstance(error, AppError):
                self._on_fault("bypass", error)
            if self._estimate(need) > self._options.large_threshold:
                raise Unavailable(
                    "the cache does not answer, and without it this request is too large",
                    retry_after_s=UNCACHED_RETRY_S,
                ) from error
            with self._bypasses.one(self._clock.now_ms(), need.deadline_ms):
                return await self._bypass(question, need)

    def _require_size(self, need: Need) -> None:
        """
        Return when a request is small enough for the direct route.

        Raises:
            TooLarge: it is not; the text says what is.
        """
        samples, most = self._estimate(need), self._options.large_threshold
        if samples > most:
            raise TooLarge(
                f"route=direct takes at most {most:,} estimated samples; this is {samples:,}: "
                f"leave out route=, or ask for at most {longest_that_fits(len(need.points), most)} "
                "of these points"
            )

    @staticmethod
    def _estimate(need: Need) -> int:
        return estimated_samples(len(need.points), need.time_range)

    async def answer_known(
        self, question: Question, *, as_of_ms: int | None = None
    ) -> TimeseriesAnswer | None:
        """
        Return the answer if all of it was known at *as_of_ms*, else None; no sample is fetched.

        Left out, that is now. Answers of a moment past are not asked for every minute, and so
        not compacted. Points that the site does not have are known to be empty: where it may be
        that all gaps are theirs, the site's list is read unless it is kept.
        """
        now_ms = self._clock.now_ms() if as_of_ms is None else as_of_ms
        try:
            need = need_of(question.request, self._options, now_ms)
            return await self._known(question, need, is_past=as_of_ms is not None)
        except LargeGaps:
            return None

    async def _known(
        self, question: Question, need: Need, *, is_past: bool = False
    ) -> TimeseriesAnswer:
        """
        Return the answer when all of it is known.

        Raises:
            LargeGaps: it is not, or objects of it are gone.
        """
        for _ in range(LOST_OBJECTS_ATTEMPTS_MAX):
            generation = self._recent.generation
            segments = await self._filler.look_up(need)
            covers = await self._covers(need, segments, is_result=True)
            missing = gaps_of(covers)
            if missing:
                raise LargeGaps(estimated_gaps(missing, segments))
            filling = Filling(covers, resolution=self._filler.resolution(need, covers))
            with suppress(LostObjects):
                return await self._answer(
                    question, need, filling, generation, is_compacted=not is_past
                )
            # Gaps now, or something has taken the place of what was found.
        raise LargeGaps(self._estimate(need))

    async def _covers(
        self, need: Need, segments: Sequence[Segment], *, is_result: bool = False
    ) -> list[Cover]:
        """
        Return what is known of a need that is too large to be fetched for an answer.

        A job knows nothing of points that the site does not have, and is not made of them alone.
        """
        covers = self._filler.cover(need, segments, is_result=is_result)
        if gaps_of(covers) and await self._filler.check_points(need, covers):
            covers = self._filler.cover(need, segments, is_result=is_result)
        return covers

    async def _cached(self, question: Question, need: Need) -> TimeseriesAnswer:
        """Answer from segments, after the gaps have been filled."""
        prepared = self._recent.prepared(question, need.now_ms)
        if prepared is not None:
            with suppress(LostObjects):
                return await self._encode(
                    question, Filling([]), prepared.parts, prepared.report, prepared.answer_etag
                )
        attempts, before, asked = 0, None, need
        while True:
            generation = self._recent.generation
            async with asyncio.timeout(self._options.cache_timeout / 1000):
                segments = await self._filler.look_up(asked)
            need, missing, covered = await self._measured(asked, question, segments)
            if missing > question.missing:
                question = msgspec.structs.replace(question, missing=missing)
            filling = await self._filler.fill(need, segments, covered=covered)
            if before is not None:
                filling = filling.after(before)
            try:
                return await self._answer(question, need, filling, generation)
            except LostObjects:
                attempts, before = attempts + 1, filling
                if attempts == LOST_OBJECTS_ATTEMPTS_MAX:
                    raise

    async def _measured(
        self, need: Need, question: Question, segments: Sequence[Segment]
    ) -> tuple[Need, int, list[Cover]]:
        """
        Return the need as it is best filled, the estimate of what is missing of it, and its cover.

        Where calls by point give other samples than pages, what a job fetched may be of the other
        kind than what such a request usually has: it is filled up with its like, rather than
        fetched again as a whole.

        Raises:
            LargeGaps: too much is missing.
        """
        override, most = question.request.route, self._options.large_threshold
        covers = self._filler.cover(need, segments)
        missing = estimated_gaps(gaps_of(covers), segments)
        if not needs_job(missing, override, most):
            return need, missing, covers
        for source in (None, *SOURCES):
            each = msgspec.structs.replace(need, source=source)
            covers = await self._covers(each, segments)
            samples = estimated_gaps(gaps_of(covers), segments)
            if not needs_job(samples, override, most):
                return each, samples, covers
            if self._filler.resolution(need, covers) is None:
                break
        raise LargeGaps(missing)

    async def _bypass(self, question: Question, need: Need) -> TimeseriesAnswer:
        """Answer from upstream alone."""
        if need.deadline_ms <= self._clock.now_ms():
            raise UpstreamTimeout("no time left to ask the upstream", retryable=True)
        filling = await self._filler.fetch_directly(need)
        question = msgspec.structs.replace(question, missing=self._estimate(need))
        report = CacheReport(
            "bypass",
            upstream_requests=filling.upstream_requests,
            fetched=filling.fetched,
            known_until=self._known_until(need.site),
        )
        parts = self._resolve(question, need, filling)
        return await self._encode(question, filling, parts, report, None)

    async def _answer(
        self,
        question: Question,
        need: Need,
        filling: Filling,
        generation: int,
        *,
        is_compacted: bool = True,
    ) -> TimeseriesAnswer:
        """
        Answer from what has been filled; have it compacted when it lay in too many objects.

        The generation is that of the look-ups before the index was asked.
        """
        if question.is_wide:
            filling = await self._with_directories(need, filling)
            if any(lacks_directory(cover) for cover in filling.covers):
                raise LostObjects([])
        filling = await self._at_hand(need, filling)
        try:
            parts = self._resolve(question, need, filling)
        except DirectoryMissing:
            filling = await self._at_hand(need, await self._with_directories(need, filling))
            try:
                parts = self._resolve(question, need, filling)
            except DirectoryMissing as error:
                # Another segment has taken its place since: to be planned again, as with objects.
                raise LostObjects([]) from error
        report = CacheReport(
            cache_status(filling),
            upstream_requests=filling.upstream_requests,
            fetched=filling.fetched,
            missing=filling.missing if filling.is_stale else msgspec.UNSET,
            known_until=self._known_until(need.site),
        )
        answer_etag = None if filling.is_stale else entity_tag(parts, question.form)
        answer = await self._encode(question, filling, parts, report, answer_etag)
        # What reaches beyond the present is known up to another instant each time.
        is_whole = need.happened == need.time_range and reach_end(filling.covers, need.time_range)
        # A point that the site does not have may be added to it at any moment.
        is_whole = is_whole and not any(each.is_unknown for each in filling.covers)
        # What is put side by side needs more than the pieces.
        is_whole = is_whole and not question.is_wide and are_kept(parts)
        if answer_etag is not None and not filling.fetched and is_whole:
            expires_ms = self._filler.expires_ms(need.site, filling.covers)
            prepared = AnswerPlan(
                parts, answer_etag, expires_ms, answer.object_keys, report.known_until
            )
            self._recent.prepare(question, prepared, need.now_ms, generation)
        is_zoomed = need.level_samples != 0
        is_compacted = is_compacted and not filling.is_stale
        if is_compacted and self._compactor.is_due(need.site, filling.covers, is_zoomed=is_zoomed):
            self._run_later(self._compactor.compact(need, is_zoomed=is_zoomed))
        if due := self._accesses.due(filling.covers):
            self._run_later(self._accesses.note(due))
        return answer

    async def _at_hand(self, need: Need, filling: Filling) -> Filling:
        """Return the same cover without slivers whose bytes are not at hand."""
        covered = await self._store.at_hand(need.site, filling.covers)
        return msgspec.structs.replace(filling, covers=covered)

    def _resolve(self, question: Question, need: Need, filling: Filling) -> list[PointPieces]:
        """
        Return the pieces of every point, and what is to be said of those that the site has not.

        Raises:
            DirectoryMissing: a segment must be cut whose directory was not loaded.
        """
        rolled_of, aggregation = None, question.request.aggregation
        if need.level_samples < 0 and aggregation is not None:
            # As app.py says: few answers have aggregates.
            from building_vitals.answers.rolling import rolled_points

            rolled_of = rolled_points(aggregation, question.request.time_range)
        parts = resolve(filling.covers, has_known=need.level_samples > 0, rolled_of=rolled_of)
        known = self._names.get(need.site)
        if known is None or all(each.error is None for each in parts):
            return parts
        # As app.py says: few answers have points that nobody knows.
        from building_vitals.answers.unknown_points import with_hints

        return with_hints(parts, known[1])

    async def _with_directories(self, need: Need, filling: Filling) -> Filling:
        """Return the same cover with every frame directory loaded."""
        loaded = await self._index.find(
            need.site, need.points, need.time_range, level_samples=need.level_samples
        )
        return msgspec.structs.replace(filling, covers=with_loaded(filling.covers, loaded))

    async def _encode(
        self,
        question: Question,
        filling: Filling,
        parts: list[PointPieces],
        report: CacheReport,
        answer_etag: str | None,
    ) -> TimeseriesAnswer:
        """Return the answer with the beginning of its body; a small body is whole then."""
        answer = TimeseriesAnswer(
            report=report,
            object_keys=object_keys(parts),
            answer_etag=answer_etag,
            missing_samples=question.missing,
            unreadable_samples=filling.unreadable,
            resolution=filling.resolution,
        )
        if answer_etag is not None and question.matches(answer_etag):
            return answer

        def meta(samples: int) -> AnswerMeta:
            answer.samples = samples
            return answer_meta(answer, question, self._clock.now_ms())

        if not filling.fetched and self._recent.resume(answer, question, self._clock.now_ms()):
            return answer
        source = ByteSource(parts, filling.fresh, self._store, made=filling.made)
        size, encoder, chunks_from = encoding(question, filling, parts, report)
        if size > WHOLE_BYTES_MAX:
            source = source._replace(place=self._streams.enter(self._clock.now_ms()))
            answer.rest = body(source, encoder, chunks_from(source), meta, self._clock)
            answer.first = await anext(answer.rest)
            return answer
        data = b"".join([chunk async for chunk in chunks_from(source)])
        if answer_etag is not None and not filling.fetched and isinstance(encoder, SplicedJson):
            self._recent.keep(answer_etag, encoder.seal(data))
        answer.first = data + encoder.finish(meta(encoder.samples))
        return answer
