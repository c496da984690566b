"""
Metrics of Analytics Engine: events as texts and numbers in a fixed order.

Separate and pure because the platform drops a metric beyond its limits without an error: `metric`
is the only way to make one, and keeps it within them. docs/analytics.md documents the order; it
never changes, because metrics that are written do not: new fields go at the end.
https://developers.cloudflare.com/analytics/analytics-engine/limits/
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from building_vitals.statistics.events import (
    DeadLetterEvent,
    FollowEvent,
    JobEvent,
    RequestEvent,
)

BLOBS_MAX = 20
DOUBLES_MAX = 20
BLOBS_BYTES_MAX = 16_384
INDEX_BYTES_MAX = 96
METRICS_PER_INVOCATION_MAX = 250

# Metrics without a site need an index too: Analytics Engine samples by it.
NO_SITE = "-"


class Metric(msgspec.Struct, frozen=True):
    """
    One metric within the platform's limits.

    Attributes:
        index: Analytics Engine samples metrics by it; here the site.
        blobs: Texts.
        doubles: Finite numbers.
    """

    index: str
    blobs: tuple[str, ...]
    doubles: tuple[float, ...]


def metric(index: str, blobs: Sequence[str | None], doubles: Sequence[float | None]) -> Metric:
    """
    Return a metric; texts that are too long are cut at a character, the longest first.

    Args:
        index: The site; an empty one becomes NO_SITE.
        blobs: None becomes the empty text.
        doubles: None, NaN and infinities become 0.

    Raises:
        ValueError: there are more blobs or doubles than a metric may have.
    """
    if len(blobs) > BLOBS_MAX:
        raise ValueError(f"too many blobs: {len(blobs)}; at most {BLOBS_MAX}")
    if len(doubles) > DOUBLES_MAX:
        raise ValueError(f"too many doubles: {len(doubles)}; at most {DOUBLES_MAX}")
    return Metric(
        cut_text(index, INDEX_BYTES_MAX) or NO_SITE,
        _within([each or "" for each in blobs], BLOBS_BYTES_MAX),
        tuple(float(each) if each is not None and math.isfinite(each) else 0.0 for each in doubles),
    )


def cut_text(text: str, bytes_max: int) -> str:
    """Return the longest beginning of a text with at most *bytes_max* bytes of UTF-8."""
    data = text.encode("utf-8", "replace")
    return data.decode() if len(data) <= bytes_max else data[:bytes_max].decode("utf-8", "ignore")


def _within(blobs: list[str], bytes_max: int) -> tuple[str, ...]:
    """Return the texts, the longest of them cut, so that all together fit."""
    sizes = [len(each.encode("utf-8", "replace")) for each in blobs]
    left, share = bytes_max, 0
    # Short texts stay whole; the long ones share the bytes that are left.
    for n, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - n)
        if size > share:
            break
        left -= size
    else:
        share = bytes_max
    return tuple(cut_text(each, share) for each in blobs)


def request_metric(event: RequestEvent, weight: int) -> Metric:
    """
    Return the metric of a request.

    Args:
        event: The request.
        weight: The number of requests that it stands for.
    """
    return metric(
        event.site,
        (
            "request",
            event.request_id,
            event.route,
            event.cache_status,
            "success" if event.is_success else "failure",
            event.error,
            event.format,
            event.endpoint,
        ),
        (
            event.points,
            event.estimated,
            event.samples,
            event.duration_ms,
            event.body_bytes,
            event.upstream_requests,
            weight,
            event.status,
            # The ninth is the jobs'.
            0,
            event.missing,
        ),
    )


def job_metric(event: JobEvent) -> Metric:
    """Return the metric of a job that was queued or has ended."""
    return metric(
        event.site,
        ("job", event.job_id, "queued", "", event.outcome, event.error, "", event.priority),
        (
            event.points,
            event.estimated,
            event.samples,
            event.duration_ms,
            event.data_bytes,
            event.upstream_requests,
            1,
            event.chunks,
            event.retries,
        ),
    )


def follow_metric(event: FollowEvent) -> Metric:
    """Return the metric of readings of a followed site."""
    return metric(
        event.site,
        ("follow", "", "", "", event.outcome, event.error, "", ""),
        (
            *(0, 0, event.samples, event.duration_ms, 0, event.pages, 1, event.rounds, 0, 0),
            event.lag_ms,
        ),
    )


def dead_letter_metric(event: DeadLetterEvent) -> Metric:
    """Return the metric of a message that ran out of retries."""
    return metric(
        event.site,
        ("dead_letter", event.job_id, "queued", "", event.outcome, event.error, "", ""),
        (0, 0, 0, 0, 0, 0, 1, event.chunk, event.attempts),
    )
