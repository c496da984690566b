"""
Results of large jobs, materialised as one object each, so that a download is one read.

An answer of millions of samples is spliced from hundreds of pieces. That is done once, when the job
is complete; a download then goes from the bucket to the client without passing through Python, but
for its end, the `_meta` that is its own. Nothing depends on it: where there is no such object, the
answer is spliced from segments as any other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from building_vitals.answers.answer import CacheReport, StoredBody, TimeseriesAnswer, answer_meta
from building_vitals.answers.body import ByteSource, batches, encoded
from building_vitals.answers.formats.spliced_json import SealedJson, SplicedJson
from building_vitals.answers.pieces import PointPieces, entity_tag, resolve, total_stored_bytes
from building_vitals.answers.question import AnswerForm, Question
from building_vitals.cache.coverage import covers, gaps_of
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.need import Need
from building_vitals.cache.object_keys import job_of, result_object_key
from building_vitals.cache.segments import DirectoryMissing
from building_vitals.cache.store import SegmentStore
from building_vitals.errors import AppError
from building_vitals.jobs.jobs_table import Jobs
from building_vitals.jobs.model import Job
from building_vitals.jobs.results_table import JobResult, JobResults, ResultPlace
from building_vitals.ports import Invocation, ObjectStore
from building_vitals.ranges import Range

# A larger one might not be materialised within the 15 minutes of an invocation.
RESULT_BYTES_MAX = 2_147_483_648
# By then its writer is dead: an invocation lives 15 minutes.
UNFINISHED_MS = 3_600_000
# How long ago a job was completed whose result is made up for. The note of a writer that died has
# gone before that is over.
LOST_AFTER_MS = 300_000
LOST_UNTIL_MS = 4 * UNFINISHED_MS
LOST_AT_ONCE = 3
# A larger one would not be made again in the 30 seconds that remain behind an answer.
REMADE_BYTES_MAX = 134_217_728
CONTENT_TYPE = "application/json"


class JobResultService:
    """Materialises results that have *bytes_min* stored bytes or more, and answers from them."""

    def __init__(
        self,
        *,
        results: JobResults,
        jobs: Jobs,
        objects: ObjectStore,
        store: SegmentStore,
        index: SegmentIndex,
        freshness_of: Callable[[str], Freshness],
        bytes_min: int,
        invocation: Invocation,
    ) -> None:
        self._results = results
        self._jobs = jobs
        self._objects = objects
        self._store = store
        self._index = index
        self._clock = invocation.clock
        self._freshness_of = freshness_of
        self._new_id = invocation.new_id
        self._on_fault = invocation.on_fault
        self._run_later = invocation.run_later
        self._bytes_min = bytes_min

    async def materialise(self, job_id: str) -> bool:
        """
        Store the result of a completed job, if it is large and nobody else does.

        Returns:
            Whether it was stored; failures are reported.
        """
        try:
            job = await self._jobs.find(job_id)
            # Samples' text takes less than half of its bytes when stored: no need to look further.
            if job is None or job.data_size < 2 * self._bytes_min:
                return False
            points = await self._jobs.points(job_id)
            place = ResultPlace(job_id, result_object_key(job.site, job_id, self._new_id()))
            is_ours = await self._results.begin(
                job_id,
                job.site,
                job.time_range,
                place.object_key,
                expires_ms=self._clock.now_ms() + UNFINISHED_MS,
            )
        except AppError as error:
            self._on_fault("job result", error)
            return False
        try:
            # When it is not worth it the note stays, so that it is not looked into again and again.
            return is_ours and await self._make(job, points, place)
        except AppError as error:
            self._on_fault("job result", error)
            await self._give_up(place)
            return False

    async def materialise_lost(self, now_ms: int) -> int:
        """
        Materialise a few results whose jobs completed while the consumer died or the bucket
        failed; return how many.
        """
        lost = await self._results.missing(
            since_ms=now_ms - LOST_UNTIL_MS,
            before_ms=now_ms - LOST_AFTER_MS,
            data_size_min=2 * self._bytes_min,
            limit=LOST_AT_ONCE,
        )
        return sum([await self.materialise(job_id) for job_id in lost])

    async def _replace(self, result: JobResult) -> None:
        """Forget a result whose object is gone, and make it again unless it is very large."""
        job_id = job_of(result.object_key)
        try:
            await self._results.drop([ResultPlace(job_id, result.object_key)])
        except AppError as error:
            # The next reader tries again.
            self._on_fault("job result", error)
            return
        if result.stored_bytes <= REMADE_BYTES_MAX:
            await self.materialise(job_id)

    async def _give_up(self, place: ResultPlace) -> None:
        """Forget a result that could not be stored, so that it can be tried again."""
        try:
            await self._objects.delete([place.object_key])
            await self._results.drop([place])
        except AppError as error:
            # The clean-up finds the row, and the object by its age.
            self._on_fault("job result", error)

    async def _make(self, job: Job, points: tuple[str, ...], place: ResultPlace) -> bool:
        """Store the object and make it known; return False when it is not worth it, or can't be."""
        found = await self._find(job, points)
        if found is None:
            return False
        parts, expires_ms = found
        if not self._bytes_min <= total_stored_bytes(parts) <= RESULT_BYTES_MAX:
            return False
        source = ByteSource(parts, {}, self._store)
        size = await _size(source)
        encoder = SplicedJson()
        info = await self._objects.put_stream(
            place.object_key,
            _spliced(source, encoder),
            size,
            content_type=CONTENT_TYPE,
            content_encoding="gzip",
            metadata={
                "site": job.site,
                "points": str(len(points)),
                "samples": str(job.samples_count),
            },
        )
        sealed = encoder.seal(b"")
        result = JobResult(
            object_key=place.object_key,
            object_etag=info.object_etag,
            answer_etag=entity_tag(parts, _form(job.site, job.time_range)),
            stored_bytes=size,
            text_bytes=sealed.text_bytes,
            crc=sealed.crc,
            glue=sealed.glue.decode(),
            samples=sealed.samples,
        )
        await self._results.finish(job.job_id, result, expires_ms=expires_ms)
        return True

    async def _find(
        self, job: Job, points: tuple[str, ...]
    ) -> tuple[list[PointPieces], int] | None:
        """Return the pieces of the result and until when they are kept; None with gaps."""
        need = Need(job.site, points, job.time_range, job.created_ms, job.created_ms)
        freshness = self._freshness_of(job.site)
        for known in ((freshness, need.now_ms), None):
            segments = await self._index.find(job.site, points, job.time_range, known)
            covered = covers(
                points,
                segments,
                need.happened,
                freshness=freshness,
                now_ms=need.now_ms,
                source="either",
            )
            if gaps_of(covered):
                return None
            covered = await self._store.at_hand(job.site, covered)
            try:
                parts = resolve(covered)
            except DirectoryMissing:
                continue
            return parts, self._clock.now_ms() + freshness.max_age_ms
        return None

    async def answer(self, question: Question, result: JobResult) -> TimeseriesAnswer | None:
        """
        Return the answer made from a result; None when it is wanted in another form, or gone.

        One that is gone is made again behind the answer.
        """
        request = question.request
        if question.form != _form(request.site, request.time_range):
            return None
        report = CacheReport("hit", samples_from_cache=result.samples)
        answer = TimeseriesAnswer(
            report=report,
            object_keys=(),
            answer_etag=result.answer_etag,
            samples=result.samples,
            missing_samples=question.missing,
        )
        if question.matches(result.answer_etag):
            return answer
        found = await self._objects.open(result.object_key, object_etag=result.object_etag)
        if found is None:
            self._run_later(self._replace(result))
            return None
        sealed = SealedJson(
            data=bytearray(),
            stored_bytes=result.stored_bytes,
            text_bytes=result.text_bytes,
            crc=result.crc,
            glue=result.glue.encode(),
            samples=result.samples,
        )
        meta = answer_meta(answer, question, self._clock.now_ms())
        answer.stored = StoredBody(found, SplicedJson.resumed(sealed).finish(meta))
        return answer


def _form(site: str, time_range: Range) -> AnswerForm:
    """Return the form that results are stored in."""
    return AnswerForm(
        site=site, time_range=time_range, max_points=None, format="json", gzip=True, route="queued"
    )


async def _size(source: ByteSource) -> int:
    """Return how many bytes `_spliced` will give; only frames that must be cut are read for it."""
    encoder, size = SplicedJson(), 0
    for batch in batches(source.parts):
        cut = [each.piece for each in batch if each.piece is not None and each.piece.frame]
        blobs = await source.store.read(cut, {})
        for each in batch:
            if each.begins:
                encoder.begin_point(each.part.point)
            if each.piece is not None and each.piece.frame is not None:
                for _ in encoder.add(each.piece, blobs.piece(each.piece)):
                    continue
            elif each.piece is not None and each.is_last:
                encoder.pass_over(each.piece)
                size += each.piece.stored_bytes
            if each.ends:
                encoder.end_point(each.part.error)
        size += len(encoder.take())
    return size


async def _spliced(source: ByteSource, encoder: SplicedJson) -> AsyncIterator[bytes]:
    async for chunk in encoded(source, encoder, CacheReport("hit")):
        if chunk:
            yield chunk
