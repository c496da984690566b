"""Points of Analytics Engine: what its limits allow, in the documented order."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from building_vitals.statistics.events import DeadLetterEvent, FollowEvent, JobEvent, RequestEvent
from building_vitals.statistics.metrics import (
    BLOBS_BYTES_MAX,
    BLOBS_MAX,
    DOUBLES_MAX,
    INDEX_BYTES_MAX,
    Metric,
    dead_letter_metric,
    follow_metric,
    job_metric,
    metric,
    request_metric,
)

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "analytics.md"

REQUEST = RequestEvent(
    request_id="id",
    time_ms=1,
    endpoint="GET /api/timeseries",
    site="hq",
    points=2,
    route="cached",
    cache_status="partial",
    format="json",
    estimated=3,
    missing=9,
    samples=4,
    body_bytes=5,
    upstream_requests=6,
    duration_ms=7,
    status=200,
)
JOB = JobEvent(
    job_id="job",
    site="hq",
    outcome="failed",
    priority="high",
    points=1,
    chunks=2,
    estimated=3,
    samples=4,
    duration_ms=5,
    data_bytes=6,
    retries=7,
    upstream_requests=8,
    error="upstream",
)
DEAD = DeadLetterEvent(
    job_id="job", chunk=3, outcome="failed", attempts=2, site="hq", error="crash"
)


FOLLOW = FollowEvent(
    site="hq",
    outcome="failed",
    rounds=1,
    pages=2,
    samples=3,
    lag_ms=4,
    duration_ms=5,
    error="no luck",
)


def test_readings_of_a_followed_site_are_a_point() -> None:
    """Each field stands where the documentation says."""
    assert Metric(
        "hq",
        ("follow", "", "", "", "failed", "no luck", "", ""),
        (0, 0, 3, 5, 0, 2, 1, 1, 0, 0, 4),
    ) == follow_metric(FOLLOW)


def test_a_request_is_a_point() -> None:
    """Each field stands where the documentation says."""
    assert Metric(
        "hq",
        ("request", "id", "cached", "partial", "success", "", "json", "GET /api/timeseries"),
        (2, 3, 4, 7, 5, 6, 10, 200, 0, 9),
    ) == request_metric(REQUEST, 10)


def test_a_job_is_a_point() -> None:
    """Each field stands where the documentation says."""
    assert Metric(
        "hq",
        ("job", "job", "queued", "", "failed", "upstream", "", "high"),
        (1, 3, 4, 5, 6, 8, 1, 2, 7),
    ) == job_metric(JOB)


def test_a_dead_letter_is_a_point() -> None:
    """Each field stands where the documentation says."""
    assert Metric(
        "hq",
        ("dead_letter", "job", "queued", "", "failed", "crash", "", ""),
        (0, 0, 0, 0, 0, 0, 1, 3, 2),
    ) == dead_letter_metric(DEAD)


@pytest.mark.parametrize(
    "point", [request_metric(REQUEST, 1), job_metric(JOB), follow_metric(FOLLOW)]
)
def test_every_field_is_documented(point: Metric) -> None:
    """The document has a row for each blob and double that is written, and for none more."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blobs = {int(n) for n in re.findall(r"^\| `blob(\d+)`", text, re.M)}
    doubles = {int(n) for n in re.findall(r"^\| `double(\d+)`", text, re.M)}
    assert set(range(1, len(point.blobs) + 1)) == blobs
    assert set(range(1, len(point.doubles) + 1)) <= doubles
    assert set(range(1, 12)) == doubles


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        pytest.param("s" * 128, "s" * 96, id="letters"),
        pytest.param("ü" * 60, "ü" * 48, id="two bytes each"),
        pytest.param("x" + "€" * 40, "x" + "€" * 31, id="cut between characters"),
        pytest.param("", "-", id="none"),
        pytest.param("\ud800", "?", id="half a pair"),
    ],
)
def test_the_index_is_cut_at_a_character(index: str, expected: str) -> None:
    """An index has at most 96 bytes, no character cut in half, and is never empty."""
    point = metric(index, (), ())
    assert expected == point.index
    assert len(point.index.encode()) <= INDEX_BYTES_MAX


def test_long_blobs_are_cut_and_short_ones_kept() -> None:
    """All blobs have at most 16 KB together; only the longest lose something."""
    point = metric("hq", ("kept", "é" * 20_000, None, "z" * 12_000, "also kept"), ())
    assert sum(len(each.encode()) for each in point.blobs) <= BLOBS_BYTES_MAX
    assert ("kept", "", "also kept") == (point.blobs[0], point.blobs[2], point.blobs[4])
    assert set(point.blobs[1]) == {"é"}
    assert len(point.blobs[1].encode()) > 8000 < len(point.blobs[3])


def test_blobs_that_fit_exactly_are_kept() -> None:
    """16 KB are allowed, one byte more is not."""
    assert BLOBS_BYTES_MAX == len(metric("hq", ("a" * BLOBS_BYTES_MAX,), ()).blobs[0])
    assert BLOBS_BYTES_MAX == len(metric("hq", ("a" * BLOBS_BYTES_MAX + "b",), ()).blobs[0])


def test_numbers_are_finite() -> None:
    """What is no number, or none that can be stored, becomes 0."""
    assert (0.0, 0.0, 0.0, 1.5) == metric("hq", (), (None, math.nan, math.inf, 1.5)).doubles


def test_too_many_fields_are_refused() -> None:
    """Twenty of each are allowed; a point with more would vanish without a sign."""
    assert BLOBS_MAX == len(metric("hq", ("x",) * BLOBS_MAX, ()).blobs)
    with pytest.raises(ValueError, match="too many blobs: 21"):
        metric("hq", ("x",) * (BLOBS_MAX + 1), ())
    with pytest.raises(ValueError, match="too many doubles: 21"):
        metric("hq", (), (1.0,) * (DOUBLES_MAX + 1))
