"""The Worker's documents as objects."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Status = Literal["queued", "processing", "retrying", "completed", "failed", "cancelled"]
_OVER = frozenset({"completed", "failed", "cancelled"})


class Job(msgspec.Struct, kw_only=True, rename="camel"):
    """
    A request that runs in the background.

    Attributes:
        progress: 0 to 100; never falls.
        estimated_size: Samples expected.
        samples_count: Samples of what is done.
        data_size: Their JSON text in bytes.
        error: Why it failed; None if it did not.
        data_url: Path of the result; None until it is completed.
    """

    job_id: str
    status: Status
    priority: str = "normal"
    site: str = ""
    points_count: int = 0
    start_time: datetime | None = None
    end_time: datetime | None = None
    progress: int = 0
    total_chunks: int = 0
    completed_chunks: int = 0
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    cancelled_at: datetime | None = None
    estimated_size: int = 0
    samples_count: int = 0
    data_size: int = 0
    retry_count: int = 0
    error: str | None = None
    data_url: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.status in _OVER


class JobPage(msgspec.Struct, rename="camel"):
    """Jobs, the newest first, and where the next page begins."""

    jobs: list[Job]
    next_cursor: str | None = None


class Queued(msgspec.Struct, rename="camel"):
    """The job that a request became."""

    job_id: str
    poll_interval: int = 2000


class Me(msgspec.Struct, rename="camel"):
    """
    The key that a client sends.

    Attributes:
        key_id: Not the key itself; `open` where no keys are asked for.
        role: `reader` or `admin`.
        sites: Sites that it may read; `*` for all.
        limits: How much it may ask for, by name.
    """

    key_id: str
    role: str
    sites: Literal["*"] | list[str]
    limits: dict[str, Any] = {}
    auth_mode: str = ""


class ListPage(msgspec.Struct):
    """A page of sites or points."""

    page: int
    pages: int
    per_page: int
    total: int
    items: list[dict[str, Any]]


class PointAnswer(msgspec.Struct):
    """
    What an answer says of a point.

    Attributes:
        samples: JSON text; read when it is asked for.
        error: Why there is nothing; None if there is no reason.
        level: The width of the buckets that `max_points` took; None if it is not told.
    """

    samples: msgspec.Raw
    count: int
    error: str | None = None
    level: str | int | None = None


class TimeseriesDocument(msgspec.Struct):
    """An answer with samples."""

    data: dict[str, PointAnswer]
    meta: dict[str, Any] = msgspec.field(name="_meta")
