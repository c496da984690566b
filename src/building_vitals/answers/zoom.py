"""
Bodies of answers with at most so many samples of each point, from stored levels.

Whole frames of a level are copied as they are; only what a cut goes through is looked into. Points
without levels go the long way: all of their samples are read, and those that show let go of.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

from building_vitals.answers.answer import CacheReport
from building_vitals.answers.body import WHOLE_BYTES_MAX, ByteSource, encoded
from building_vitals.answers.formats.chosen import ChosenSamples, first_instant, known_among
from building_vitals.answers.formats.encoder import Encoder
from building_vitals.answers.pieces import PointPieces, total_stored_bytes, total_text_bytes
from building_vitals.answers.stream_limit import WIDE_BYTES
from building_vitals.cache.blobs import Blobs
from building_vitals.cache.segments import DirectoryMissing, Piece
from building_vitals.cache.zooming import CountOf, Seam, ZoomPlan, is_long, zoom_plan
from building_vitals.ranges import Range
from building_vitals.series.frames import cut_text, frame_text
from building_vitals.series.levels import (
    WIDTHS_MS,
    Columns,
    columns_of,
    level_name,
    next_width,
    thin,
)
from building_vitals.series.splicing import inflate
from building_vitals.series.thinning import RUN_SAMPLES, PointThinning

# Points that are read together at the most.
POINTS_MAX = 256
# Bytes of a sample, on the large side.
STORED_SAMPLE_BYTES = 8
TEXT_SAMPLE_BYTES = 32


class ZoomPoint(NamedTuple):
    """A point with what is to be read of it; None where all of its samples are."""

    part: PointPieces
    plan: ZoomPlan | None


class Found(NamedTuple):
    """
    Samples that go into an answer.

    Attributes:
        samples: How many.
        known: Those of them that had been known before.
        text: Their run; None where the piece is copied.
    """

    samples: int
    known: int
    text: bytes | None = None
    piece: Piece | None = None


class FoundLevel(NamedTuple):
    """
    What a point shows.

    Attributes:
        found: Its samples, in order.
        level: What answers call it.
        blobs: Has the pieces that are copied.
    """

    found: list[Found]
    level: str
    blobs: Blobs

    def put(self, encoder: Encoder, part: PointPieces) -> int:
        """Put it in as a point; return how many of its samples had been known before."""
        encoder.begin_point(part.point, sum(each.samples for each in self.found))
        for each in _together(self.found):
            if each.text is not None:
                encoder.add_text(each.samples, each.text)
            elif each.piece is not None:
                for _ in encoder.add(each.piece, self.blobs.piece(each.piece)):
                    continue
        encoder.end_point(part.error, self.level)
        return sum(each.known for each in self.found)


def _together(found: Iterable[Found]) -> Iterator[Found]:
    """Yield the same samples, short runs that follow each other as one: each is compressed."""
    run: list[Found] = []
    samples = 0
    for each in found:
        if run and (each.text is None or samples + each.samples > RUN_SAMPLES):
            yield _run(run)
            run, samples = [], 0
        if each.text is None:
            yield each
        else:
            run.append(each)
            samples += each.samples
    if run:
        yield _run(run)


def _run(found: list[Found]) -> Found:
    """Return runs of samples as one."""
    if len(found) == 1:
        return found[0]
    text = b",".join([each.text for each in found if each.text is not None])
    return Found(sum(each.samples for each in found), sum(each.known for each in found), text)


async def zoomed(
    source: ByteSource, encoder: Encoder, report: CacheReport, max_points: int
) -> AsyncGenerator[bytes]:
    """
    Yield the body of an answer but for its end.

    The report is told how many of its samples had been known before.

    Raises:
        LostObjects: an object is gone or not what the index says, and the index has forgotten it.
    """
    made = source.made.union(source.fresh)
    for group in _groups(source, max_points):
        if group[0].plan is None:
            chosen = ChosenSamples(encoder, max_points, made)
            before = report.samples_from_cache
            alone = source._replace(parts=[group[0].part])
            async with aclosing(encoded(alone, chosen, report)) as chunks:
                async for chunk in chunks:
                    yield chunk
            report.samples_from_cache = before + chosen.samples_from_cache
            continue
        for part, choice in zip(group, await choices(group, source, max_points), strict=True):
            report.samples_from_cache += choice.put(encoder, part.part)
            if encoder.pending >= source.window_bytes() // 2:
                yield encoder.take()
        yield encoder.take()
    report.samples_fetched = encoder.samples - report.samples_from_cache


async def choices(group: list[ZoomPoint], source: ByteSource, max_points: int) -> list[FoundLevel]:
    """
    Return what each point of a group shows.

    Frames that are cut are counted first where it depends on them whether a level fits; with them
    comes what the level is made of that probably does, so that nothing is left to be read in most
    cases. Where a level turns out not to fit all the same, the next wider one is read. Each is one
    read for all points, and no piece is read twice.
    """
    reader = PieceReader(source.made.union(source.fresh))
    left = {n: each.plan for n, each in enumerate(group) if each.plan is not None}
    while doubtful := reader.doubtful(left, max_points):
        probable = {
            n: _probable(group[n].part, plan, reader, max_points) for n, plan in left.items()
        }
        needed = [piece for cut in doubtful.values() for piece in cut]
        needed += [piece for plan in probable.values() for piece in plan.pieces]
        await reader.read(needed, source)
        for n, cut in doubtful.items():
            for piece in cut:
                reader.cut(piece)
            if left[n].least(reader.counted) > max_points:
                left[n] = _wider(group[n].part, left[n], probable[n], reader, max_points)
    found: dict[int, FoundLevel] = {}
    while left:
        await reader.read([piece for plan in left.values() for piece in plan.pieces], source)
        wider: dict[int, ZoomPlan] = {}
        for n, plan in left.items():
            choice, again = choice_of(plan, reader, max_points), None
            if choice is None and plan.is_level and plan.width_ms < WIDTHS_MS[-1]:
                again = _plan(group[n].part, max_points, reader.counted, plan.width_ms)
            if again is not None:
                wider[n] = again
            else:
                found[n] = choice or thinned(plan, reader, max_points)
        left = wider
    return [found[n] for n in range(len(group))]


def _probable(part: PointPieces, plan: ZoomPlan, reader: PieceReader, max_points: int) -> ZoomPlan:
    """Return the plan that is left, as far as can be told, when all cut frames are counted."""
    if not plan.is_level or plan.least(reader.guessed) <= max_points:
        return plan
    return _plan(part, max_points, reader.guessed, plan.width_ms) or plan


def _wider(
    part: PointPieces, plan: ZoomPlan, probable: ZoomPlan, reader: PieceReader, max_points: int
) -> ZoomPlan:
    """Return the plan of the next wider level that may fit; most often it is the probable one."""
    if probable.width_ms == next_width(plan.width_ms):
        return probable
    return _plan(part, max_points, reader.counted, plan.width_ms) or plan


def _plan(part: PointPieces, max_points: int, counted: CountOf, narrow_ms: int) -> ZoomPlan | None:
    """Return the plan of a wider level than one; None where there is none to be read."""
    try:
        return zoom_plan(part.known, max_points, narrow_ms, counted)
    except DirectoryMissing:
        return None


def body_bytes(parts: Sequence[PointPieces], max_points: int | None, *, is_spliced: bool) -> int:
    """Return about how many bytes have to be gone through for an answer."""
    if max_points is None:
        return total_stored_bytes(parts) if is_spliced else total_text_bytes(parts)
    most = max_points * (STORED_SAMPLE_BYTES if is_spliced else TEXT_SAMPLE_BYTES)
    size = 0
    for part in parts:
        of_all = total_text_bytes([part])
        size += of_all if is_long(part.known, max_points) else min(most, of_all)
    return size


def _groups(source: ByteSource, max_points: int) -> Iterator[list[ZoomPoint]]:
    """Yield the points in order, as many together as are read at once."""
    group: list[ZoomPoint] = []
    size = 0
    bytes_max = WHOLE_BYTES_MAX if source.window_bytes() >= WIDE_BYTES else source.window_bytes()
    for part in source.parts:
        try:
            plan = zoom_plan(part.known, max_points)
        except DirectoryMissing:
            # What would have to be cut was looked up as a whole.
            plan = None
        cost = 0 if plan is None else sum(piece.stored_bytes for piece in plan.pieces)
        is_full = size + cost > bytes_max or len(group) == POINTS_MAX
        if group and (plan is None or is_full):
            yield group
            group, size = [], 0
        if plan is None:
            yield [ZoomPoint(part, None)]
            continue
        group.append(ZoomPoint(part, plan))
        size += cost
    if group:
        yield group


class PieceReader:
    """
    Reads pieces of which some hold what was not known before; none of them twice.

    Attributes:
        blobs: Has what has been read.
    """

    def __init__(self, made: frozenset[str], blobs: Blobs | None = None) -> None:
        self.blobs = blobs or Blobs()
        self._made = made
        self._read: set[tuple[str, int, int]] = set()
        self._cut: dict[tuple[str, int, Range | None], tuple[int, bytes]] = {}
        # Of the frame that was looked into last its text; of each what the last such cut has left.
        self._inflated: tuple[tuple[str, int], bytes] = ("", 0), b""
        self._around: dict[tuple[str, int], tuple[Range | None, bytes]] = {}

    async def read(self, pieces: Iterable[Piece], source: ByteSource) -> None:
        """
        Read pieces.

        Raises:
            LostObjects: as `zoomed` does.
        """
        left = {
            place: piece
            for piece in pieces
            if (place := (piece.key, piece.offset, piece.stored_bytes)) not in self._read
        }
        if left:
            found = await source.store.read(left.values(), source.fresh, is_verified=True)
            self.blobs.take(found)
            self._read.update(left)

    def cut(self, piece: Piece) -> tuple[int, bytes]:
        """Return the count and the text of what a cut leaves of a frame, which has been read."""
        place, frame, time_range = (piece.key, piece.offset), piece.frame, piece.time_range
        if (*place, time_range) in self._cut:
            return self._cut[*place, time_range]
        if frame is None or time_range is None:
            raise ValueError("piece is not a cut frame")
        around = self._around.get(place, (None, b""))
        if around[0] is None or around[0].clip(time_range) != time_range:
            # Cuts that follow each other are often of one frame.
            if self._inflated[0] != place:
                self._inflated = place, frame_text(frame, self.blobs.piece(piece))
            around = None, self._inflated[1]
        found = self._cut[*place, time_range] = cut_text(around[1], time_range)
        if around[0] is None:
            self._around[place] = time_range, found[1]
        return found

    def doubtful(self, plans: Mapping[int, ZoomPlan], max_points: int) -> dict[int, list[Piece]]:
        """Return the frames that have to be counted, of each plan that may not fit."""
        found = {n: plan.uncounted(self.counted, max_points) for n, plan in plans.items()}
        return {n: cut for n, cut in found.items() if cut}

    def counted(self, piece: Piece) -> int | None:
        """Return how many samples a cut leaves of a frame; None where nobody has looked."""
        found = self._cut.get((piece.key, piece.offset, piece.time_range))
        return None if found is None else found[0]

    def guessed(self, piece: Piece) -> int:
        """Return how many samples a cut probably leaves of a frame, if nobody has looked."""
        found, frame, time_range = self.counted(piece), piece.frame, piece.time_range
        if found is not None or frame is None or time_range is None:
            return piece.count if found is None else found
        held = Range(frame.first_ms, frame.last_ms + 1)
        inside = held.clip(time_range)
        return 0 if inside is None else frame.count * inside.duration_ms // held.duration_ms

    def is_known(self, piece: Piece) -> bool:
        """Return whether a piece had been known before."""
        return piece.key not in self._made

    def text(self, piece: Piece) -> bytes:
        """Return the text of a piece that has been read."""
        if piece.frame is None:
            return inflate(self.blobs.piece(piece), piece.text_bytes)
        return self.cut(piece)[1]

    def runs(self, pieces: list[Piece], turns_ms: list[int]) -> Iterator[bytes]:
        """
        Yield the text of each piece that has some.

        Where what was known ends and begins again is put into *turns_ms*, as `known_among` has it.
        """
        for piece in pieces:
            text = self.text(piece)
            if not text:
                continue
            if self.is_known(piece) == len(turns_ms) % 2:
                turns_ms.append(first_instant(text))
            yield text


def choice_of(plan: ZoomPlan, reader: PieceReader, max_points: int) -> FoundLevel | None:
    """Return the level that a plan is of, where it fits."""
    if not plan.is_level:
        return None
    found = list(_level(plan, reader))
    if sum(each.samples for each in found) > max_points:
        return None
    return FoundLevel(found, level_name(plan.width_ms), reader.blobs)


def thinned(plan: ZoomPlan, reader: PieceReader, max_points: int) -> FoundLevel:
    """Return the finest level that fits, made of all samples that a plan has read."""
    thinning, turns_ms = PointThinning(max_points, plan.width_ms), list[int]()
    for text in reader.runs(plan.pieces, turns_ms):
        thinning.add(text)
    thinning.choose()
    known = known_among(thinning.times, turns_ms)
    found = [Found(count, 0, text) for count, text in thinning.texts()]
    # Of them all, however many runs they are.
    found[:1] = [each._replace(known=known) for each in found[:1]]
    return FoundLevel(found, thinning.level, reader.blobs)


def _level(plan: ZoomPlan, reader: PieceReader) -> Iterator[Found]:
    """Yield the samples of a level, stretch by stretch."""
    for each in plan.stretches:
        if isinstance(each, Seam):
            turns_ms: list[int] = []
            texts = list(reader.runs(each.pieces, turns_ms))
            columns = columns_of(b",".join(texts)) if texts else Columns([], [], [])
            kept = columns.picked(thin(columns.times, columns.values, plan.width_ms))
            if kept.times:
                known = known_among(kept.times, turns_ms)
                yield Found(len(kept.times), known, kept.text())
            continue
        if each.frame is None:
            yield Found(each.count, each.count if reader.is_known(each) else 0, piece=each)
            continue
        count, text = reader.cut(each)
        if count:
            yield Found(count, count if reader.is_known(each) else 0, text)
