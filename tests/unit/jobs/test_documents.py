"""Jobs as the API shows them."""

from __future__ import annotations

import msgspec
import pytest

from builders import JOB
from building_vitals.jobs.documents import job_document
from building_vitals.jobs.model import JobStatus


@pytest.mark.parametrize(
    ("status", "is_over", "data_url"),
    [
        ("queued", False, None),
        ("processing", False, None),
        ("retrying", False, None),
        ("completed", True, "/api/jobs/job_1/data"),
        ("failed", True, None),
        ("cancelled", True, None),
    ],
)
def test_only_a_completed_job_has_data(
    status: JobStatus, data_url: str | None, *, is_over: bool
) -> None:
    """Ends are three, and one of them has a result to fetch."""
    job = msgspec.structs.replace(JOB, status=status)
    found = job_document(job)
    assert (is_over, status, data_url) == (job.is_over, found.status, found.data_url)


def test_instants_are_shown_where_there_are_any() -> None:
    """What has not happened is null, an instant of 0 is one."""
    document = job_document(msgspec.structs.replace(JOB, started_ms=0))
    names = ("start_time", "end_time", "created_at", "started_at", "completed_at")
    assert [
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:01:00.000Z",
        "1970-01-01T00:00:01.000Z",
        "1970-01-01T00:00:00.000Z",
        None,
    ] == [getattr(document, name) for name in names]


def test_owners_are_not_shown() -> None:
    """Whose key a job belongs to is nobody's business."""
    assert "key_1" not in str(job_document(JOB))
