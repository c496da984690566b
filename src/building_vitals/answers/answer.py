"""Answers: what is sent, and what `_meta` says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Literal

import msgspec

from building_vitals.answers.formats.spliced_json import SealedBody
from building_vitals.answers.question import Question, Route
from building_vitals.cache.need import Filling, Resolution
from building_vitals.fields import Count, IsoTime
from building_vitals.instants import elapsed_ms, format_instant
from building_vitals.ports import OpenObject
from building_vitals.ranges import Range

CacheStatus = Literal["hit", "partial", "miss", "bypass", "stale"]


class StoredBody(msgspec.Struct):
    """
    A body that lies in the bucket, but for its end.

    Attributes:
        found: All but the end.
        end: The end.
        on_end: Told when the body has been sent, or with the class of what kept it from that.
    """

    found: OpenObject
    end: bytes
    on_end: Callable[[str | None], None] = lambda _: None

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return self.found.size + len(self.end)


class TimeseriesAnswer(msgspec.Struct, kw_only=True):
    """
    An answer ready to be sent.

    Attributes:
        report: What the cache did for it.
        object_keys: Objects it is made of, at most `OBJECT_KEYS_MAX`.
        answer_etag: Entity tag, where the answer may be kept.
        samples: In the body, as far as it has been made.
        resolution: Which samples they are, where the upstream's calls give different ones.
        missing_samples: Samples, estimated, that were not known when it was asked for.
        unreadable_samples: Left out of what was fetched for it, because they cannot be read.
        first: The beginning of the body; all of it when *rest* is None.
        rest: What follows.
        stored: The body, where it lies in the bucket; there is no other then.
    """

    report: CacheReport
    object_keys: tuple[str, ...]
    answer_etag: str | None
    samples: int = 0
    missing_samples: int = 0
    unreadable_samples: int = 0
    resolution: Resolution | None = None
    first: bytes | SealedBody = b""
    rest: AsyncIterator[bytes] | None = None
    stored: StoredBody | None = None


class CacheReport(msgspec.Struct, rename="camel"):
    """
    The cache's part in an answer.

    Attributes:
        samples_from_cache: Samples of the answer that were stored before.
        samples_fetched: Samples of the answer that came from the upstream for it.
        upstream_requests: Requests it took, failed ones included.
        fetched: Ranges of the request that came from the upstream for some of its points, merged.
        missing: Of a stale answer: the ranges that could not be had, of any point, merged.
        known_until: Of a followed site: the end of its last round, epoch milliseconds.
    """

    status: CacheStatus
    samples_from_cache: Count = 0
    samples_fetched: Count = 0
    upstream_requests: Count = 0
    fetched: list[Range] = []
    missing: list[Range] | msgspec.UnsetType = msgspec.UNSET
    known_until: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def is_hit(self) -> bool:
        """Whether nothing of the answer came from upstream."""
        return self.status in ("hit", "stale")


def cache_status(filling: Filling) -> CacheStatus:
    """Return the cache status: what share of the answer had been known."""
    if filling.is_stale:
        return "stale"
    if not filling.fetched:
        return "hit"
    return "partial" if filling.had_known else "miss"


class AnswerMeta(msgspec.Struct, kw_only=True, rename="camel"):
    """`_meta` of an answer with samples."""

    request_id: str
    site: str
    start_time: IsoTime
    end_time: IsoTime
    route_type: Route
    cache_hit: bool
    cache: CacheReport
    estimated_samples: Annotated[
        int, msgspec.Meta(ge=0, description="Points x days x 100, of all that was asked for.")
    ]
    missing_samples: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="Samples, estimated, that were not known when it was asked for: by the "
            "rates seen, else points x days x 100.",
        ),
    ]
    samples_count: Count
    unreadable_samples: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="Samples that were fetched for this answer and left out, because their "
            "time cannot be read or they came without a value.",
        ),
    ]
    duration: Annotated[int, msgspec.Meta(ge=0, description="Milliseconds.")]
    timestamp: IsoTime
    downsampled: bool | msgspec.UnsetType = msgspec.UNSET
    resolution: Resolution | msgspec.UnsetType = msgspec.UNSET
    columns: Annotated[
        tuple[str, ...] | msgspec.UnsetType,
        msgspec.Meta(
            description="With `interval`: the aggregates in a row, in the order of its values."
        ),
    ] = msgspec.UNSET


def answer_meta(answer: TimeseriesAnswer, question: Question, now_ms: int) -> AnswerMeta:
    """Return what an answer says of itself."""
    request = question.request
    return AnswerMeta(
        request_id=question.request_id,
        site=request.site,
        start_time=format_instant(request.time_range.start_ms),
        end_time=format_instant(request.time_range.end_ms),
        route_type=question.route,
        cache_hit=answer.report.is_hit,
        cache=answer.report,
        estimated_samples=question.estimated,
        missing_samples=answer.missing_samples,
        samples_count=answer.samples,
        unreadable_samples=answer.unreadable_samples,
        duration=elapsed_ms(question.started_ms, now_ms),
        timestamp=format_instant(now_ms),
        downsampled=msgspec.UNSET if request.max_points is None else True,
        resolution=answer.resolution or msgspec.UNSET,
        columns=request.aggregation.aggregates if request.aggregation else msgspec.UNSET,
    )
