"""Failures that others hear of."""

from __future__ import annotations

import pytest

from building_vitals.cache.failures import (
    FAILURE_MS,
    FAILURES_MAX,
    Failures,
    FetchFailure,
    decoded,
    encoded,
    is_alike,
    shared_failure,
)
from building_vitals.cache.need import Need
from building_vitals.errors import (
    AppError,
    Unavailable,
    UpstreamBusy,
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from building_vitals.ranges import Range

NOW_MS = 1_000_000


def need(left_ms: int, *, now_ms: int = NOW_MS, site: str = "hq") -> Need:
    """Return a need with so much time left."""
    return Need(site, ("a",), Range(0, 100), now_ms, now_ms + left_ms)


def shared(error: AppError, waited_ms: int = 0) -> FetchFailure:
    """Return a failure of this moment, as another isolate reads it."""
    failure = shared_failure(error, now_ms=NOW_MS, begun_ms=NOW_MS - waited_ms)
    assert failure is not None
    return decoded(encoded(failure))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UpstreamError("a", upstream_status=500, retryable=True), UpstreamError),
        (UpstreamSiteUnknown("b", upstream_status=403), UpstreamSiteUnknown),
        (UpstreamLimited("c", retry_after_s=7, retryable=True), UpstreamLimited),
        (UpstreamTimeout("d"), UpstreamTimeout),
        (UpstreamBusy("e"), UpstreamTimeout),
        (UpstreamTooLarge("f"), UpstreamError),
    ],
)
def test_others_get_the_same_error(error: UpstreamError, kind: type[UpstreamError]) -> None:
    """Class, text, status and what else a client is told."""
    found = shared(error).error()
    assert kind is type(found)
    for name in ("detail", "code", "status", "upstream_status", "retryable", "retry_after_s"):
        assert getattr(error, name) == getattr(found, name)


def test_a_site_may_be_added_at_any_moment() -> None:
    """That there is none concerns those who asked before, and nobody later."""
    failure = shared(UpstreamSiteUnknown("x"))
    assert failure.concerns(need(1), NOW_MS)
    assert not failure.concerns(need(1, now_ms=NOW_MS + 1), NOW_MS + 1)


def test_what_says_nothing_of_the_upstream_is_not_shared() -> None:
    """A database that is down is another matter."""
    assert shared_failure(Unavailable("D1 is down"), now_ms=1, begun_ms=0) is None


@pytest.mark.parametrize(
    ("failure", "left_ms", "concerns"),
    [
        pytest.param(shared(UpstreamError("x")), 10**6, True, id="of the upstream"),
        pytest.param(shared(UpstreamTimeout("x"), 500), 500, True, id="no more time"),
        pytest.param(shared(UpstreamTimeout("x"), 500), 501, False, id="more time"),
        pytest.param(shared(UpstreamLimited("x")), 10**6, True, id="limited"),
        pytest.param(
            shared(UpstreamLimited("x", retry_after_s=3)), 3000, True, id="limited for as long"
        ),
        pytest.param(
            shared(UpstreamLimited("x", retry_after_s=3)), 3001, False, id="limited for less"
        ),
    ],
)
def test_whom_a_failure_concerns(failure: FetchFailure, left_ms: int, *, concerns: bool) -> None:
    """Impatience concerns nobody who has more time."""
    assert concerns == failure.concerns(need(left_ms), NOW_MS)


@pytest.mark.parametrize(
    ("missing", "is_same"),
    [
        pytest.param({"a": [Range(0, 100)], "b": [Range(0, 100)]}, True, id="all"),
        pytest.param({"a": [Range(50, 900)]}, True, id="a quarter, and other things"),
        pytest.param({"a": [Range(51, 900)]}, False, id="less"),
        pytest.param({"c": [Range(0, 100)]}, False, id="another point"),
        pytest.param({"a": [Range(100, 300)]}, False, id="another time"),
    ],
)
def test_what_is_the_same(missing: dict[str, list[Range]], *, is_same: bool) -> None:
    """Who lacks a good part of what failed."""
    assert is_same == is_alike(missing, ["a", "b"], 2, Range(0, 100))


def test_an_isolate_remembers_for_some_seconds() -> None:
    """Of the same site and gaps, until then; a clock that steps back changes nothing."""
    failures, missing = Failures(), {"a": [Range(0, 100)]}
    failures.add("hq", ["a"], Range(0, 100), shared(UpstreamError("x")))

    def found(site: str = "hq", later_ms: int = 0) -> FetchFailure | None:
        now_ms = NOW_MS + later_ms
        return failures.of(need(30_000, now_ms=now_ms, site=site), missing, now_ms)

    assert found(later_ms=FAILURE_MS - 1) == found(later_ms=-1000) == shared(UpstreamError("x"))
    assert found(later_ms=FAILURE_MS) is None
    assert found("lab") is None


def test_the_latest_are_remembered() -> None:
    """As many as there is room for."""
    failures = Failures()
    for n in range(FAILURES_MAX + 1):
        failures.add("hq", [f"p{n}"], Range(0, 100), shared(UpstreamError(str(n))))
    found = [
        failures.of(need(1), {f"p{n}": [Range(0, 100)]}, NOW_MS) for n in range(FAILURES_MAX + 1)
    ]
    assert found[0] is None
    assert all(found[1:])
