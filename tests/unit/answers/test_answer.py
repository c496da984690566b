"""What `_meta` says of an answer."""

from __future__ import annotations

import json

import msgspec
import pytest

from building_vitals.answers.answer import CacheReport, CacheStatus, TimeseriesAnswer, answer_meta
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.ranges import Range

NOW_MS = 1_767_225_600_000


@pytest.mark.parametrize(
    ("status", "is_hit"),
    [("hit", True), ("stale", True), ("partial", False), ("miss", False), ("bypass", False)],
)
def test_a_hit_is_what_cost_no_request(status: CacheStatus, *, is_hit: bool) -> None:
    """Expired data that stand in came from the cache, too."""
    assert is_hit == CacheReport(status).is_hit


@pytest.mark.parametrize("max_points", [None, 5], ids=["all samples", "chosen samples"])
def test_meta(max_points: int | None) -> None:
    """Request, route, cache and size are told; that samples were chosen only where it is so."""
    request = TimeseriesRequest("hq", ("a",), Range(0, 60_000), max_points=max_points)
    question = Question(
        request=request,
        route="cached",
        estimated=7,
        request_id="r1",
        format="json",
        gzip=True,
        started_ms=NOW_MS - 12,
    )
    report = CacheReport("partial", 2, 1, 3, [Range(0, 9)])
    answer = TimeseriesAnswer(
        report=report,
        object_keys=(),
        answer_etag=None,
        samples=3,
        missing_samples=6,
        unreadable_samples=4,
    )
    expected = {
        "requestId": "r1",
        "site": "hq",
        "startTime": "1970-01-01T00:00:00.000Z",
        "endTime": "1970-01-01T00:01:00.000Z",
        "routeType": "cached",
        "cacheHit": False,
        "cache": {
            "status": "partial",
            "samplesFromCache": 2,
            "samplesFetched": 1,
            "upstreamRequests": 3,
            "fetched": [[0, 9]],
        },
        "estimatedSamples": 7,
        "missingSamples": 6,
        "samplesCount": 3,
        "unreadableSamples": 4,
        "duration": 12,
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    if max_points is not None:
        expected["downsampled"] = True
    assert expected == json.loads(msgspec.json.encode(answer_meta(answer, question, NOW_MS)))
