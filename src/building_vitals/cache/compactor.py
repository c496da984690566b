"""
Brings segments together that lie scattered over many objects: in one object, and joined where
they follow each other, as the chunks of a job do. Slivers stay in their rows until they add up to
an object; what a chart needs of many places in blocks is copied out of them. Those that a chart
needs levels of get them here: making levels takes as much CPU as all else that storing does, and
must hold up nobody who waits for what is stored.

A chart that reloads every minute adds a sliver per minute; without this a read would soon touch a
thousand of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import msgspec

from building_vitals.cache.compaction_table import PUT_SEGMENTS, move_statements
from building_vitals.cache.coverage import Cover, superseded
from building_vitals.cache.fetch_runs import bare_runs, has_runs, planned_runs
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.gathering import COMPACTED_BYTES_MAX, gathered, runs_in_one
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.joining import Run, join
from building_vitals.cache.lease import FETCH_MS_MAX
from building_vitals.cache.need import Need
from building_vitals.cache.segment_object import SegmentObject
from building_vitals.cache.segments import Segment, pieces
from building_vitals.cache.slivers import are_large, are_many, worth_moving
from building_vitals.cache.store import LostObjects, SegmentStore
from building_vitals.errors import AppError
from building_vitals.ports import Database, Invocation
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import Frame

# Objects that one answer may be read from before its segments are brought together.
OBJECTS_MAX = 8
# Stored bytes that get levels at once: of some 500,000 samples, which take seconds of CPU.
LEVELED_BYTES_MAX = 2_097_152
# By then an answer has probably gone out: what is made behind it shares the isolate with it, and
# would hold up its last bytes.
DELAY_MS = 1_000
# By then what was fetched for it has been stored, too.
LEVELS_DELAY_MS = 2_000
# Levels are made for one request of a site at a time, or they would take all memory; another one
# that is still waiting after so long leaves them to the next. The platform gives it 30 s.
LEVELS_WAIT_MS = 15_000
# One that was killed makes way after so long.
LEVELS_MS_MAX = 30_000
# Points of a request that are looked at behind an answer: what is known of thousands takes all the
# memory there is. Of more than that, others take their turn each second.
POINTS_AT_ONCE = 256
TURN_MS = 1_000
# Where segments could not become one after all, nobody tries again for so long.
REST_MS = 1_800_000


class Compactor:
    """Brings the segments together that answers are made of."""

    def __init__(
        self,
        *,
        store: SegmentStore,
        database: Database,
        index: SegmentIndex,
        freshness_of: Callable[[str], Freshness],
        leveling: dict[str, int],
        resting: dict[str, int],
        invocation: Invocation,
    ) -> None:
        """
        Args:
            store: Reads and writes segments.
            database: Has the index.
            index: Finds them.
            freshness_of: Returns the rule of a site.
            leveling: Of the isolate: until when levels are being made, by site.
            resting: Of the isolate: until when nothing is joined that was fetched at different
                instants, by site.
            invocation: Of this moment.
        """
        self._leveling = leveling
        self._resting = resting
        self._store = store
        self._database = database
        self._index = index
        self._clock = invocation.clock
        self._freshness_of = freshness_of
        self._on_fault = invocation.on_fault

    def is_due(self, site: str, covers: Sequence[Cover], *, is_zoomed: bool = False) -> bool:
        """
        Return whether an answer is made of more objects or rows than it should and need be.

        One that *is_zoomed* should be made of levels, or of rollups.
        """
        by_point = [[segment for segment, _ in each.known] for each in covers]
        segments = [segment for of_point in by_point for segment in of_point]
        if is_zoomed and any(each.lacks_levels for each in segments):
            return True
        if any(each.is_block for each in segments) and _takes_many_reads(segments):
            return True
        segments = [each for each in segments if not each.is_block]
        by_point = [[each for each in of_point if not each.is_block] for of_point in by_point]
        objects = {each.key for each in segments if each.count and not each.is_sliver}
        if len(objects) > OBJECTS_MAX and gathered(segments):
            return True
        if are_large(segments, self._store.sliver_bytes) or any(map(are_many, by_point)):
            return True
        return self._resting.get(site, 0) <= self._clock.now_ms() and has_runs(
            by_point, self._freshness_of(site)
        )

    async def compact(self, need: Need, *, is_zoomed: bool = False) -> None:
        """
        Bring a request's segments together, a moment later; failures are reported and change
        nothing.

        Of one that *is_zoomed*, some that lack levels get them.
        """
        if is_zoomed:
            is_zoomed = await self._may_level(need.site)
        else:
            await self._clock.sleep(DELAY_MS)
        try:
            await self._compact(need, is_zoomed=is_zoomed)
        except LostObjects:
            # The store has told of them, and the next asking fetches.
            return
        except AppError as error:
            self._on_fault("compaction", error)
        finally:
            if is_zoomed:
                self._leveling.pop(need.site, None)

    async def _may_level(self, site: str) -> bool:
        """Wait for the moment to make levels of a site; return whether it has come."""
        until_ms = self._clock.now_ms() + LEVELS_WAIT_MS
        while self._clock.now_ms() < until_ms:
            await self._clock.sleep(LEVELS_DELAY_MS)
            now_ms = self._clock.now_ms()
            if self._leveling.get(site, 0) <= now_ms:
                self._leveling[site] = now_ms + LEVELS_MS_MAX
                return True
        return False

    async def _compact(self, need: Need, *, is_zoomed: bool) -> None:
        now_ms = self._clock.now_ms()
        freshness = self._freshness_of(need.site)
        need = msgspec.structs.replace(need, points=_in_turn(need.points, now_ms))
        by_point = await self._find(need, need.time_range)
        if self._resting.get(need.site, 0) <= now_ms and await self._join_fetches(
            need, by_point, freshness, is_zoomed=is_zoomed
        ):
            return
        useless = [
            each
            for of_point in by_point.values()
            for is_by_point in (False, True)
            for each in superseded([one for one in of_point if one.is_by_point == is_by_point])
            if not each.is_block
        ]
        if useless:
            await self._index.remove(need.site, useless)
            gone = set(map(id, useless))
            by_point = {
                point: [each for each in of_point if id(each) not in gone]
                for point, of_point in by_point.items()
            }
        known = {
            point: [each for each in of_point if freshness.is_known(each, now_ms)]
            for point, of_point in by_point.items()
        }
        out_of_blocks = [
            run
            for run in _out_of_blocks(
                by_point, need.time_range, is_zoomed=is_zoomed, before_ms=now_ms - FETCH_MS_MAX
            )
            if all(freshness.is_known(segment, now_ms) for segment, _ in run.parts)
        ]
        known = {
            point: [each for each in of_point if not each.is_block]
            for point, of_point in known.items()
        }
        at_hand = [each for of_point in known.values() for each in of_point]
        moved = {each.place for each in worth_moving(at_hand, self._store.sliver_bytes)}
        planned = [*out_of_blocks, *runs_in_one(known, moved)]
        bare = bare_runs(at_hand, planned, LEVELED_BYTES_MAX) if is_zoomed else []
        planned += bare
        if not planned:
            return
        await self._put(
            need.site,
            planned,
            now_ms,
            is_in_object=bool(moved or bare or out_of_blocks),
            is_zoomed=is_zoomed,
        )

    async def _find(self, need: Need, time_range: Range) -> dict[str, list[Segment]]:
        """Return all segments of a range, by point, with their levels."""
        found: dict[str, list[Segment]] = {}
        for each in await self._index.find(need.site, need.points, time_range, level_samples=1):
            found.setdefault(each.point, []).append(each)
        return found

    async def _join_fetches(
        self,
        need: Need,
        by_point: Mapping[str, Sequence[Segment]],
        freshness: Freshness,
        *,
        is_zoomed: bool,
    ) -> bool:
        """
        Have segments become one that were fetched at different instants, some points at a time.

        Returns:
            Whether some have.
        """
        now_ms = self._clock.now_ms()
        plan = partial(
            planned_runs,
            need,
            freshness=freshness,
            now_ms=now_ms,
            most_leveled_bytes=LEVELED_BYTES_MAX,
            is_zoomed=is_zoomed,
        )
        planned = plan(by_point)
        if not planned:
            return False
        whole = Range(
            min(need.time_range.start_ms, *(run.known.start_ms for run in planned)),
            max(need.time_range.end_ms, *(run.known.end_ms for run in planned)),
        )
        if whole != need.time_range:
            # Whatever lies beside a segment decides whether it may be joined.
            planned = plan(await self._find(need, whole))
        if planned and await self._put(
            need.site, planned, now_ms, is_in_object=True, is_zoomed=is_zoomed
        ):
            return True
        self._resting[need.site] = now_ms + REST_MS
        return False

    async def _put(
        self,
        site: str,
        planned: Sequence[Run],
        now_ms: int,
        *,
        is_in_object: bool,
        is_zoomed: bool,
    ) -> int:
        """Store runs in place of their parts; return how many are known."""
        joined = await self._join(planned)
        made = await self._store.put(
            self._store.made(
                site,
                joined,
                fetched_ms=[run.fetched_ms for run in planned],
                is_in_object=is_in_object,
            ),
            is_leveled=is_zoomed or any(each.levels is not None for each in joined),
        )
        parts = [[segment for segment, _ in run.parts] for run in planned]
        return await self._move(made, parts, now_ms)

    async def _move(
        self, stored: SegmentObject, parts: Sequence[Sequence[Segment]], now_ms: int
    ) -> int:
        """
        Put each segment of a stored object in the place of those that it was made of.

        Where one of these has changed in the meantime, they all stay, and the new one is dropped.

        Returns:
            How many segments have been put in their place.
        """
        freshness = self._freshness_of(stored.site)
        expires_ms = [freshness.gone_ms(each) for each in stored.segments]
        moves = zip(stored.segments, expires_ms, parts, strict=True)
        statements = [
            *move_statements(stored.site, moves, now_ms=now_ms),
            *SegmentIndex.object_statements(
                stored.site,
                [stored.row()] if stored.is_object else [],
                now_ms=now_ms,
                expires_ms=max(expires_ms),
            ),
        ]
        outcomes = await self._database.batch(statements)
        return sum(
            outcome.changes
            for statement, outcome in zip(statements, outcomes, strict=True)
            if statement.sql == PUT_SEGMENTS
        )

    async def _join(self, planned: Sequence[Run]) -> list[PointSeries]:
        """Return the series of each run."""
        # As app.py says: few answers are compacted.
        from building_vitals.cache.level_joining import join_levels, level_pieces

        read_pieces = [
            piece
            for run in planned
            for segment, _ in run.parts
            for piece in [*pieces(segment, segment.range), *level_pieces(segment)]
        ]
        # Frames are copied without a look into them.
        blobs = await self._store.read(read_pieces, {}, is_verified=True)

        def read(segment: Segment, frame: Frame) -> memoryview:
            if segment.data is not None:
                return memoryview(segment.data)[frame.offset : frame.offset + frame.stored_bytes]
            return blobs.slice(segment.key, segment.offset + frame.offset, frame.stored_bytes)

        joined: list[PointSeries] = []
        for run in planned:
            # Other requests need not wait for all of them.
            await asyncio.sleep(0)
            try:
                series = join(run.point, run.known, run.parts, read)
                levels = join_levels(run.parts, series.series, blobs.piece)
                joined.append(msgspec.structs.replace(series, levels=levels))
            except ValueError as error:
                places = {segment.place for segment, _ in run.parts if segment.key}
                raise await self._store.lost(places) from error
        return joined


def _in_turn(points: tuple[str, ...], now_ms: int) -> tuple[str, ...]:
    """Return the points that are looked at in this second."""
    turns = -(-len(points) // POINTS_AT_ONCE)
    first = now_ms // TURN_MS % max(1, turns) * POINTS_AT_ONCE
    return points[first : first + POINTS_AT_ONCE]


def _takes_many_reads(segments: Iterable[Segment]) -> bool:
    """Return whether so many places in blocks have to be read that a copy is worth it."""
    from building_vitals.cache.block_runs import block_reads

    return block_reads(segments) > OBJECTS_MAX


def _out_of_blocks(
    by_point: Mapping[str, Sequence[Segment]],
    time_range: Range,
    *,
    is_zoomed: bool,
    before_ms: int,
) -> list[Run]:
    """Return what is copied out of blocks: where it takes many reads, or levels are wanted."""
    at_hand = [each for of_point in by_point.values() for each in of_point if each.is_block]
    if not at_hand:
        return []
    # As app.py says: few sites have blocks.
    from building_vitals.cache.block_runs import block_runs

    if is_zoomed and any(each.lacks_levels for each in at_hand):
        return block_runs(by_point, time_range, LEVELED_BYTES_MAX, before_ms=before_ms)
    if _takes_many_reads(at_hand):
        return block_runs(by_point, time_range, COMPACTED_BYTES_MAX, before_ms=before_ms)
    return []
