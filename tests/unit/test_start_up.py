"""
What an isolate compiles at its start: the platform allows a second of CPU for all of it.

The measure is the source, not time: compiling takes two thirds of the start, in proportion to it.
`scripts/bench.py startup` measures the time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
# 740,000 bytes took 440 ms on two cores that had nothing else to do, and 500 are what it may take.
SOURCE_BYTES_MAX = 825_000
# What few routes need.
LATE = {
    *("series.aggregates", "series.buckets", "series.exact"),
    *("nearest", "answers.unknown_points", "answers.wide", "answers.formats.wide_rows"),
    *("answers.buckets", "answers.formats.aggregated", "api.intervals"),
    *("answers.zoom", "answers.formats.chosen", "cache.level_joining", "cache.leveling"),
    *(
        "cache.compactor",
        "cache.gathering",
        "follow.follows_table",
        "follow.rounds",
        "follow.runner",
    ),
    *("cache.zooming", "series.downsample", "series.levels", "series.thinning"),
    *("api.openapi", "api.json_schemas", "api.waits", "handlers.queue", "handlers.scheduled"),
    *("jobs.chunks_table", "jobs.jobs_table", "jobs.results", "jobs.runner", "jobs.service"),
    *("blocks.block", "blocks.blocks_table", "blocks.directory", "blocks.reading"),
    *(
        "blocks.store",
        "blocks.merger",
        "blocks.merging",
        "blocks.upkeep",
        "cache.more_segments",
        "cache.block_runs",
        "cache.block_trust",
        "cache.fetch_runs",
        "cache.compaction_table",
        "cache.purges_table",
        "cache.site_blocks_table",
        "cache.site_sink",
        "cache.joining",
    ),
    *("jobs.submission", "jobs.upkeep", "cache.upkeep", "cache.upkeep_table"),
    *("statistics.figures_table", "statistics.report"),
    *("datasets.upkeep", "statistics.upkeep", "maintenance.steps", "maintenance.health"),
    *("upstream.ace.sample_fetch", "upstream.ace.page_stream", "upstream.ace.point_stream"),
    *("upstream.ace.calls", "upstream.ace.calibration", "upstream.ace.comparison"),
    *("upstream.ace.listings", "upstream.ace.targets", "upstream.ace.wire"),
}
LATE_PACKAGES = {"cramjam", "difflib", "fractions", "sqlite3", "tzdata", "zoneinfo"}
# Whatever the runtime's modules are asked for is a class.
PROBE = """
import json, sys, types
for name in ("js", "pyodide", "pyodide.ffi", "workers"):
    module = sys.modules[name] = types.ModuleType(name)
    module.__getattr__ = lambda name: type(name, (Exception,), {})
sys.path.insert(0, sys.argv[1])
import building_vitals.platform.runtime
print(json.dumps({name: vars(each).get("__file__") for name, each in sys.modules.items()}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, str | None]:
    """All modules after the start, with their files."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROBE, str(SRC)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_start_compiles_no_more_than_it_may(imported: dict[str, str | None]) -> None:
    """The package's modules that are imported at the start are small enough together."""
    files = [Path(file) for name, file in imported.items() if name.startswith("building") and file]
    assert len(files) > 100
    assert sum(file.stat().st_size for file in files) <= SOURCE_BYTES_MAX


def test_what_few_routes_need_is_imported_late(imported: dict[str, str | None]) -> None:
    """Each of them exists, and none is imported at the start."""
    for name in LATE:
        assert (SRC / "building_vitals" / f"{name.replace('.', '/')}.py").is_file()
    late = {f"building_vitals.{name}" for name in LATE} | LATE_PACKAGES
    assert set() == late & set(imported)
