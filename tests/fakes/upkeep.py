"""A database and a bucket with rows and objects of any age, and the periodic steps over them."""

from __future__ import annotations

from building_vitals.cache import upkeep as cache_upkeep
from building_vitals.cache.freshness import Freshness
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.upkeep_table import CacheUpkeep
from building_vitals.instants import DAY_MS
from building_vitals.jobs import upkeep as jobs_upkeep
from building_vitals.jobs.history_table import JobHistory
from building_vitals.statistics import upkeep as statistics_upkeep
from building_vitals.statistics.requests_table import RequestAnalytics
from building_vitals.upkeep import Step
from fakes.database import FakeDatabase
from fakes.object_store import FakeObjectStore

NOW_MS = 1_767_225_600_000
HOUR_MS = 3_600_000
FRESHNESS = Freshness(
    trust_ratio=2.0,
    trust_max_ms=30 * DAY_MS,
    grace_ms=DAY_MS,
    max_age_ms=16 * DAY_MS,
)
# How long an old segment lives that nobody reads.
LIFE_MS = 18 * DAY_MS


class UpkeepBench:
    """A database, a bucket, and the steps over them."""

    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.now_ms = NOW_MS
        self.objects = FakeObjectStore(lambda: self.now_ms)
        self.upkeep = CacheUpkeep(self.database, SegmentIndex(self.database))

    def steps(self) -> list[Step]:
        """Return the steps as they are composed."""
        return [
            cache_upkeep.ExpiredSegments(self.upkeep, FRESHNESS),
            cache_upkeep.ExpiredObjects(self.upkeep, self.objects),
            cache_upkeep.OrphanObjects(self.upkeep, self.objects),
            jobs_upkeep.OldJobs(JobHistory(self.database)),
            statistics_upkeep.OldRequests(RequestAnalytics(self.database)),
            cache_upkeep.OldMarks(self.upkeep),
            cache_upkeep.Recount(self.upkeep),
        ]

    async def run(self) -> dict[str, int]:
        """Run all steps once; return what each has changed."""
        return {step.name: await step.run(self.now_ms) for step in self.steps()}

    def segment(
        self, key: str, fetched_ms: int, *, point: str = "p", ends_ms: int = 10, lasts_ms: int = 1
    ) -> None:
        """Insert a segment that was settled when fetched."""
        self.database.look(
            "INSERT INTO cache_segments VALUES ('hq', ?1, ?2, ?3, ?4, ?5, 'e', 0, 1, 1, 1, 0, 0, 0,"
            " '[]', ?6, 0, 0, NULL, NULL)",
            *(point, ends_ms - lasts_ms, ends_ms, fetched_ms, key, fetched_ms + LIFE_MS),
        )

    async def object(self, key: str, fetched_ms: int, *, is_known: bool = True) -> None:
        """Store an object, and its row."""
        self.now_ms, now_ms = fetched_ms, self.now_ms
        await self.objects.put(key, b"x", content_type="t")
        self.now_ms = now_ms
        if is_known:
            self.database.look(
                "INSERT INTO cache_metadata "
                "VALUES (?1, 'hq', 0, 1, 1, 5, 30, 10, 3, 0, ?2, ?2, ?3, NULL)",
                *(key, fetched_ms, fetched_ms + LIFE_MS),
            )

    def count(self, table: str) -> int:
        """Return the rows of a table."""
        return int(self.database.look(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def key(n: int | str) -> str:
    """Return the key of an object."""
    return f"timeseries/hq/x/{n}.seg"


def insert_job(bench: UpkeepBench, job_id: str, status: str, ended_ms: int) -> None:
    """Insert a job with a chunk and its points."""
    bench.database.look(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, metadata, created_ms,"
        " updated_ms, started_ms, completed_ms) VALUES (?1, ?1, 'o', 'hq', 2, 3, 4, 'low', ?2, 5,"
        " 6, '{}', 7, ?3, 8, ?3)",
        *(job_id, status, ended_ms),
    )
    bench.database.look("INSERT INTO job_points VALUES (?1, 0, 0, '[]')", job_id)
    bench.database.look(
        "INSERT INTO job_chunks (job_id, chunk, first_point, points_count, start_ms, end_ms,"
        " estimated, status, sent_ms, next_ms) VALUES (?1, 0, 0, 1, 3, 4, 6, 'completed', 1, 1)",
        job_id,
    )
