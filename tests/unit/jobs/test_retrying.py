"""When a failed chunk is tried again, and what its failure is called, and its job's."""

from __future__ import annotations

import msgspec
import pytest

from builders import JOB
from building_vitals.errors import (
    AppError,
    CorruptSegment,
    InvalidRequest,
    NotFound,
    Problem,
    Unavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
)
from building_vitals.jobs.retrying import (
    RETRY_DELAY_S_MAX,
    error_of,
    failure_class,
    failure_text,
    retry_delay_s,
)


@pytest.mark.parametrize(
    ("attempt", "retry_delay_ms", "retry_after_s", "expected"),
    [
        pytest.param(1, 1000, None, 1, id="the first"),
        pytest.param(3, 1000, None, 4, id="doubled twice"),
        pytest.param(1, 1001, None, 2, id="rounded up"),
        pytest.param(1, 0, None, 0, id="without any delay"),
        pytest.param(1, 1000, 30, 30, id="the upstream wants more"),
        pytest.param(6, 1000, 30, 32, id="the upstream wants less"),
        pytest.param(1, 1000, 99_999, RETRY_DELAY_S_MAX, id="the upstream wants too much"),
        pytest.param(10_000, 1000, None, RETRY_DELAY_S_MAX, id="ever so often"),
    ],
)
def test_delays(
    attempt: int, retry_delay_ms: int, retry_after_s: int | None, expected: int
) -> None:
    """Doubling from the configured delay, longer where the upstream says so, an hour at most."""
    assert expected == retry_delay_s(
        attempt, retry_delay_ms=retry_delay_ms, retry_after_s=retry_after_s
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UpstreamSiteUnknown("x"), "bad_request"),
        (InvalidRequest([Problem("a", "b")]), "bad_request"),
        (NotFound("x"), "bad_request"),
        (UpstreamError("x"), "upstream"),
        (UpstreamTimeout("x"), "upstream"),
        (UpstreamLimited("x"), "upstream"),
        (UpstreamBusy("x"), "upstream"),
        (Unavailable("x"), "storage"),
        (CorruptSegment("x"), "crash"),
        (LookupError("x"), "crash"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_classes(error: BaseException, expected: str) -> None:
    """Who is to blame: the request, the upstream, the bindings, or the code."""
    assert expected == failure_class(error)


def test_texts_tell_of_what_was_foreseen_only() -> None:
    """Of a fault of the code its kind alone, of others what they say, cut at 500."""
    assert "unexpected failure: KeyError" == failure_text(KeyError("a secret"))
    assert "x" * 500 == failure_text(AppError("x" * 600))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("bad_request", (404, "site_unknown")), ("upstream", (502, "upstream_failed"))),
        *(
            ("storage", (503, "unavailable")),
            ("crash", (500, "internal")),
            (None, (500, "internal")),
        ),
    ],
)
def test_a_failed_job_is_told_as_its_failure(name: str | None, expected: tuple[int, str]) -> None:
    """By the class of what ended it, with its reason and its name."""
    error = error_of(msgspec.structs.replace(JOB, error="why", error_class=name))
    assert expected == (error.status, error.code)
    assert "the job of this request has failed: why (job_1)" == error.detail
