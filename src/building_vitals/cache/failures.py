"""
Failures of fetches that others hear of, instead of asking the upstream the same again.

Pure. A failure says something about the upstream, or about somebody's patience: who has more of it
may have more luck.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.cache.lease import Gaps
from building_vitals.cache.need import Need
from building_vitals.errors import (
    AppError,
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
)
from building_vitals.ranges import Range

# How long a failure is remembered: long enough that all who waited hear of it, and that a screen
# full of charts that reload at once asks once; short enough that an upstream that has come back is
# asked by the next one who reloads.
FAILURE_MS = 5_000
# A need is another one where it lacks so much less than what failed: a small part of a large range
# may well come where the whole did not.
ALIKE_MIN = 0.25
# Of this isolate; more fail at once only when the upstream is down, and are told through D1.
FAILURES_MAX = 200

_KINDS: dict[str, type[UpstreamError]] = {
    kind.__name__: kind
    for kind in (UpstreamError, UpstreamSiteUnknown, UpstreamLimited, UpstreamTimeout)
}


class FetchFailure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    How a fetch failed.

    Attributes:
        kind: Name of the error's class, or of the nearest that others know.
        detail, upstream_status, retryable, retry_after_s: As of the error.
        failed_ms: When it failed.
        waited_ms: How long it had been given by then, where it ran out of time.
    """

    kind: str
    detail: str
    upstream_status: int | None = None
    retryable: bool = False
    retry_after_s: int | None = None
    failed_ms: int
    waited_ms: int = 0

    def error(self) -> UpstreamError:
        """Return the same failure for another request."""
        return _KINDS.get(self.kind, UpstreamError)(
            self.detail,
            upstream_status=self.upstream_status,
            retryable=self.retryable,
            retry_after_s=self.retry_after_s,
        )

    def concerns(self, need: Need, now_ms: int) -> bool:
        """Return whether a need would fare no better, with the time it has left."""
        if self.kind == UpstreamTimeout.__name__:
            return need.deadline_ms - now_ms <= self.waited_ms
        if self.kind == UpstreamLimited.__name__ and self.retry_after_s is not None:
            return self.failed_ms + self.retry_after_s * 1000 >= need.deadline_ms
        # A site may be added at any moment: who asks later asks the upstream.
        return self.kind != UpstreamSiteUnknown.__name__ or need.now_ms <= self.failed_ms


def shared_failure(error: AppError, *, now_ms: int, begun_ms: int) -> FetchFailure | None:
    """Return a failure as others may hear of it; None when it says nothing of the upstream."""
    if not isinstance(error, UpstreamError):
        return None
    kind = next(each for each in type(error).__mro__ if each.__name__ in _KINDS)
    return FetchFailure(
        kind=kind.__name__,
        detail=error.detail,
        upstream_status=error.upstream_status,
        retryable=error.retryable,
        retry_after_s=error.retry_after_s,
        failed_ms=now_ms,
        waited_ms=max(0, now_ms - begun_ms) if isinstance(error, UpstreamTimeout) else 0,
    )


def encoded(failure: FetchFailure) -> str:
    """Return a failure as JSON."""
    return msgspec.json.encode(failure).decode()


def decoded(text: str) -> FetchFailure:
    """Return a failure from JSON."""
    return msgspec.json.decode(text, type=FetchFailure)


def is_alike(missing: Gaps, points: Sequence[str], count: int, failed: Range) -> bool:
    """
    Return whether gaps are in good part those of a fetch that failed.

    Args:
        missing: The gaps.
        points: Of the points that failed, those that matter here.
        count: All points that failed.
        failed: The range that failed.
    """
    shared_ms = sum(
        part.duration_ms
        for point in points
        for each in missing.get(point, ())
        if (part := each.clip(failed)) is not None
    )
    return shared_ms > 0 and shared_ms >= ALIKE_MIN * count * failed.duration_ms


class _PastFailure(msgspec.Struct, frozen=True):
    """A failure with what was asked for."""

    site: str
    points: frozenset[str]
    time_range: Range
    failure: FetchFailure


class Failures:
    """The failures that an isolate remembers: they are known here before D1 tells of them."""

    def __init__(self) -> None:
        self._kept: list[_PastFailure] = []

    def add(
        self, site: str, points: Sequence[str], time_range: Range, failure: FetchFailure
    ) -> None:
        """Remember a failure for some seconds."""
        self._kept = [*self._living(failure.failed_ms)][-FAILURES_MAX + 1 :]
        self._kept.append(_PastFailure(site, frozenset(points), time_range, failure))

    def of(self, need: Need, missing: Gaps, now_ms: int) -> FetchFailure | None:
        """
        Return the failure of the same gaps, if there was one lately.

        Args:
            need: Whose gaps they are.
            missing: The gaps.
            now_ms: The present.
        """
        for each in reversed(self._living(now_ms)):
            if each.site == need.site and each.failure.concerns(need, now_ms):
                points = [point for point in missing if point in each.points]
                if is_alike(missing, points, len(each.points), each.time_range):
                    return each.failure
        return None

    def _living(self, now_ms: int) -> list[_PastFailure]:
        # Of a clock that has stepped back, the future too is the past.
        return [each for each in self._kept if abs(now_ms - each.failure.failed_ms) < FAILURE_MS]
