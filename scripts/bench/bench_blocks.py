"""
Measures what blocks take: bytes of each sample, of levels and of the directory, and the time that
merging takes, of a site with 5-minute data as the demo upstream makes them, all series distinct;
and the heap that merging 16 hours of a large site takes.

Usage: python3 scripts/bench.py blocks

All but the heap in CPython: in WebAssembly it takes some three times as long.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.bench_memory import BAR_BYTES, fetch, heap
from bench.bench_site import POINTS
from bench.stack import running
from building_vitals.blocks.block import Entry, entries_of, foot_of
from building_vitals.blocks.merger import BlockMerger
from building_vitals.blocks.merging import MERGED_MIN
from building_vitals.blocks.store import BlockStore
from building_vitals.ports import Invocation
from building_vitals.ranges import Range
from building_vitals.series.folding import PointSeries
from building_vitals.series.frames import SeriesBuilder
from demo.sites import demo_site, even_site
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase, begin_invocation
from fakes.object_store import FakeObjectStore

SITE = "blocks"
INTERVAL_MS = 300_000
ROUND_MS = 3 * INTERVAL_MS
MERGED_MS, LONG_MS = 8 * ROUND_MS, 64 * ROUND_MS
LARGE_POINTS = 7_327
HOUR_MS = 3_600_000
START_MS = 1_750_000_000_000 // LONG_MS * LONG_MS
HEADER = ("block", "samples", "bytes", "samples", "levels", "directory", "share", "merge, CPU s")


class Archive:
    """The blocks of a site, in memory."""

    def __init__(self, points: int) -> None:
        self._clock = VirtualClock(START_MS + 400 * LONG_MS)
        self._database, self._objects = FakeDatabase(), FakeObjectStore()
        invocation = Invocation(
            self._clock,
            lambda work: work.close(),
            lambda _where, _error: None,
            lambda: secrets.token_hex(8),
        )
        self._store = BlockStore(
            objects=self._objects, database=self._database, invocation=invocation
        )
        self._invocation = invocation
        _, source = demo_site(even_site(7, SITE, points, INTERVAL_MS // 1000))
        self._series = list(source._series.values())

    async def keep(self, start_ms: int, length_ms: int) -> None:
        """Store a range of all points as one block, each point's samples as one frame."""
        known = Range(start_ms, start_ms + length_ms)
        first, count = start_ms // INTERVAL_MS, length_ms // INTERVAL_MS
        kept: list[PointSeries] = []
        for each in self._series:
            pairs = [
                ((first + n) * INTERVAL_MS, text)
                for n, text in enumerate(each.texts(first, count))
                if text is not None
            ]
            if pairs:
                builder = SeriesBuilder()
                text = ",".join(f"[{at},{value}]" for at, value in pairs)
                builder.add_text(pairs[0][0], pairs[-1][0], len(pairs), text.encode())
                kept.append(PointSeries(each.name, known, builder.build()))
        begin_invocation()
        await self._clock.sleep(1_000)
        await self._store.keep(SITE, known, kept, fetched_ms=self._clock.now_ms())

    def write_seed(self, folder: Path, now_ms: int) -> None:
        """Write the blocks as `seeding.write_seed` writes segments, read an hour ago."""
        names: list[str] = []
        with (folder / "seed.jsonl").open("w") as lines:
            for row in self._database.look("SELECT * FROM site_blocks"):
                data = self._objects.contents[row["object_key"]]
                names.append(f"block-{len(names)}.bin")
                (folder / names[-1]).write_bytes(data)
                at_ms = now_ms - HOUR_MS
                known = {
                    **row,
                    "object_etag": hashlib.md5(data, usedforsecurity=False).hexdigest(),
                    "fetched_ms": at_ms,
                    "last_access_ms": at_ms,
                }
                places = ", ".join("?" * len(known))
                sql = f"INSERT INTO site_blocks ({', '.join(known)}) VALUES ({places})"  # noqa: S608
                statement = {"sql": sql, "values": list(known.values())}
                line = {"key": row["object_key"], "file": names[-1], "statements": [statement]}
                lines.write(f"{json.dumps(line)}\n")

    async def merge(self) -> float:
        """Merge all blocks that there are into one; return the seconds of CPU that it took."""
        began = time.process_time()
        begin_invocation()
        merger = BlockMerger(
            objects=self._objects,
            database=self._database,
            lost=_refuse,
            invocation=self._invocation,
        )
        if not await merger.merge_due(SITE, 1):
            raise SystemExit("bench: nothing was merged")
        return time.process_time() - began

    def told(self, label: str, took_s: float = 0.0) -> None:
        """Print what the last block takes."""
        row = self._database.look(
            "SELECT * FROM site_blocks WHERE gone_ms IS NULL ORDER BY end_ms DESC LIMIT 1"
        )[0]
        data = self._objects.contents[row["object_key"]]
        foot = foot_of(data[row["foot_offset"] :], row["foot_crc"])
        entries: Iterable[Entry] = (
            entry
            for leaf in foot.leaves
            for entry in entries_of(leaf, data[leaf.offset : leaf.offset + leaf.stored_bytes])
        )
        series = levels = 0
        for stint in (stint for entry in entries for stint in entry.stints):
            series += stint.stored_bytes
            levels += sum(each.stored_bytes for each in stint.levels or ())
        count, directory = row["samples"], len(data) - row["directory_offset"]
        print(
            f"{label:>8} {count:12,} {len(data):12,} {series / count:8.2f} {levels / count:8.2f}"
            f" {directory / count:10.2f} {directory / len(data):8.1%} {took_s:12.1f}",
            flush=True,
        )


async def _refuse(_places: object) -> object:
    raise SystemExit("bench: a block was lost")


async def _measure(points: int) -> None:
    """Make blocks of each size from smaller ones."""
    archive = Archive(points)
    for n in range(MERGED_MIN**2):
        await archive.keep(START_MS + n * ROUND_MS, ROUND_MS)
        if n == 0:
            archive.told("15 min")
    took_s = sum([await archive.merge() for _ in range(MERGED_MIN)])
    archive.told("2 h", took_s / MERGED_MIN)
    archive.told("16 h", await archive.merge())
    for n in range(1, MERGED_MIN**2):
        await archive.keep(START_MS + n * LONG_MS, LONG_MS)
        if n == MERGED_MIN - 1:
            archive.told("5 d", await archive.merge())
        elif n % MERGED_MIN == MERGED_MIN - 1:
            await archive.merge()
    archive.told("40 d", await archive.merge())


async def _measure_heap() -> None:
    """Have the Worker merge eight blocks of two hours."""
    archive = Archive(LARGE_POINTS)
    for n in range(MERGED_MIN):
        await archive.keep(START_MS + n * MERGED_MS, MERGED_MS)
    with TemporaryDirectory() as home:
        archive.write_seed(Path(home), int(time.time() * 1000))
        with running({"DEV_METRICS": "1"}, seed=Path(home)) as stack:
            app = stack.ports["app"]
            before = heap(app)
            run = json.loads(fetch(app, "/api/maintenance/run", method="POST", gzip=False).head)
            merged = [step["changed"] for step in run["steps"] if step["name"] == "merged blocks"]
            if merged != [1]:
                raise SystemExit(f"bench: not merged: {run}")
            print(
                f"WebAssembly heap, 8 x 2 h of {LARGE_POINTS:,} points merged: {before / 1e6:.0f} "
                f"MB, then {heap(app) / 1e6:.0f}; the bar is {BAR_BYTES / 1e6:.0f}"
            )


def main(_rounds: int = 1) -> None:
    """Measure it all; BENCH_POINTS in the environment gives the number of points."""
    points = int(os.environ.get("BENCH_POINTS", POINTS))
    print(f"blocks of {points:,} points of 5-minute data; bytes a sample, of series, levels and")
    print("directory, and the directory's share of the block")
    print("{:>8} {:>12} {:>12} {:>8} {:>8} {:>10} {:>8} {:>12}".format(*HEADER))
    asyncio.run(_measure(points))
    asyncio.run(_measure_heap())
