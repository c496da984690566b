"""Answers: what is sent, and what `_meta` says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from building_vitals.answers.formats.spliced_json import SealedBody
from building_vitals.answers.question import Question
from building_vitals.instants import format_instant
from building_vitals.ports import OpenObject
from building_vitals.ranges import Range


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
        first: The beginning of the body; all of it when *rest* is None.
        rest: What follows.
        stored: The body, where it lies in the bucket; there is no other then.
    """

    report: CacheReport
    object_keys: tuple[str, ...]
    answer_etag: str | None
    samples: int = 0
    first: bytes | SealedBody = b""
    rest: AsyncIterator[bytes] | None = None
    stored: StoredBody | None = None


def answer_meta(answer: TimeseriesAnswer, question: Question, now_ms: int) -> dict[str, Any]:
    """Return `_meta` as api.md has it."""
    request = question.request
    meta = {
        "requestId": question.request_id,
        "site": request.site,
        "startTime": format_instant(request.time_range.start_ms),
        "endTime": format_instant(request.time_range.end_ms),
        "routeType": question.route,
        "cacheHit": answer.report.is_hit,
        "cache": answer.report,
        "estimatedSamples": question.estimated,
        "samplesCount": answer.samples,
        "duration": now_ms - question.started_ms,
        "timestamp": format_instant(now_ms),
    }
    if request.max_points is not None:
        meta["downsampled"] = True
    return meta


class CacheReport(msgspec.Struct, rename="camel"):
    """
    What `_meta.cache` says.

    Attributes:
        status: `hit`, `partial`, `miss`, `bypass` or `stale`.
        samples_from_cache: Samples of the answer that were stored before.
        samples_fetched: Samples that came from the upstream for this request.
        upstream_requests: Requests it took.
        fetched: Ranges that went upstream, merged.
    """

    status: str
    samples_from_cache: int = 0
    samples_fetched: int = 0
    upstream_requests: int = 0
    fetched: list[Range] = []

    @property
    def is_hit(self) -> bool:
        """Whether nothing of the answer came from upstream."""
        return self.status in ("hit", "stale")
