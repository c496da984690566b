"""
What is asked of the service, and what it answers.

Separate because the handlers of charts and of jobs, the statistics and the service all speak of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any

import msgspec

from building_vitals.answers.body import CacheReport
from building_vitals.answers.formats.spliced_json import SealedBody
from building_vitals.api.requests import TimeseriesRequest
from building_vitals.instants import format_instant
from building_vitals.ports import OpenObject


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
        """
        Bytes of all of it.
        """
        return self.found.size + len(self.end)


class TimeseriesAnswer(msgspec.Struct, kw_only=True):
    """
    An answer ready to be sent.

    Attributes:
        report: What the cache did for it.
        touched: Objects it is made of, at most `TOUCHED_MAX`.
        etag: Entity tag, where the answer may be kept.
        samples: In the body, as far as it has been made.
        first: The beginning of the body; all of it when *rest* is None.
        rest: What follows.
        stored: The body, where it lies in the bucket; there is no other then.
    """

    report: CacheReport
    touched: tuple[str, ...]
    etag: str | None
    samples: int = 0
    first: bytes | SealedBody = b""
    rest: AsyncIterator[bytes] | None = None
    stored: StoredBody | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is asked, and how the answer is wanted.

    Attributes:
        route: By which it is answered: `direct`, `cached` or `queued`.
        estimated: Samples, by the routing's rule of thumb.
        request_id: For `_meta`.
        output: Format.
        gzip: Whether the client takes gzip.
        started_ms: When the request came in.
        matches: Whether the client has an answer of this entity tag already.
    """

    request: TimeseriesRequest
    route: str
    estimated: int
    request_id: str
    output: str
    gzip: bool
    started_ms: int
    matches: Callable[[str], bool] = lambda _: False

    @property
    def question(self) -> Hashable:
        """
        What has the same answer as long as the same is known.
        """
        request = self.request
        return (
            *(request.site, request.points, request.wanted, request.max_points),
            *(self.output, self.gzip, self.route),
        )


def answer_meta(answer: TimeseriesAnswer, asked: Asked, now_ms: int) -> dict[str, Any]:
    """
    Return `_meta` as api.md has it.
    """
    request = asked.request
    meta = {
        "requestId": asked.request_id,
        "site": request.site,
        "startTime": format_instant(request.wanted.start_ms),
        "endTime": format_instant(request.wanted.end_ms),
        "routeType": asked.route,
        "cacheHit": answer.report.is_hit,
        "cache": answer.report,
        "estimatedSamples": asked.estimated,
        "samplesCount": answer.samples,
        "duration": now_ms - asked.started_ms,
        "timestamp": format_instant(now_ms),
    }
    if request.max_points is not None:
        meta["downsampled"] = True
    return meta
