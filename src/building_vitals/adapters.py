"""
The adapters that the services of one invocation stand on.

`platform/bindings.py` makes a `Platform` of the Worker's bindings, tests make one of stand-ins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from building_vitals.datasets.dataset import Compressor
from building_vitals.jobs.model import ChunkSender
from building_vitals.ports import Database, HttpClient, Invocation, ObjectStore, RateLimiter
from building_vitals.statistics.recorder import MetricsWriter


class Log(Protocol):
    """Writes one line per request, message and cron run."""

    def __call__(self, event: str, **fields: Any) -> None:
        """Write a line without the fields that are None."""
        ...


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """
    The adapters of one invocation, or stand-ins for them.

    Attributes:
        invocation: Clock, work after the answer, faults, identities.
        database, objects, queues: D1, R2 and the work queues; a missing one fails at each use.
        statistics: D1 for what is recorded of requests; None: *database* has that, too.
        http: Sends requests upstream.
        read_limit, job_limit: Limit the requests, and the submissions of jobs, per key.
        metrics: Writes metrics.
        compressor: Compresses datasets better than gzip; None where the platform has none.
        log: Writes log lines.
        missing_queues: Returns the names of queues that the Worker has no binding of.
    """

    invocation: Invocation
    database: Database
    objects: ObjectStore
    queues: ChunkSender
    http: HttpClient
    read_limit: RateLimiter
    job_limit: RateLimiter
    metrics: MetricsWriter
    compressor: Compressor | None
    log: Log
    statistics: Database | None = None
    missing_queues: Callable[[], Sequence[str]] = list

    @property
    def requests(self) -> Database:
        """The database of what is recorded of requests."""
        return self.statistics or self.database
