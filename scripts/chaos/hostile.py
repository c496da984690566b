"""Requests that deserve a refusal, and which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chaos.ground import ALPHA, START_MS

DAY_MS = 86_400_000
REFUSED = frozenset({400})
TOO_MUCH = frozenset({400, 413})


class BadRequest(NamedTuple):
    """A request, and the statuses it deserves."""

    statuses: frozenset[int]
    method: str
    path: str
    params: Sequence[tuple[str, object]] = ()
    body: bytes | None = None


def _series(statuses: frozenset[int] = REFUSED, **changed: object) -> BadRequest:
    """Return a question with members replaced; None takes one away."""
    members: dict[str, object] = {
        "site": ALPHA.name,
        "point": ALPHA.points[0],
        "start_time": START_MS,
        "end_time": START_MS + DAY_MS,
        **changed,
    }
    params = [(name, value) for name, value in members.items() if value is not None]
    return BadRequest(statuses, "GET", "/api/timeseries", params)


BAD_REQUESTS: Sequence[BadRequest] = (
    _series(site=None),
    _series(site=".."),
    _series(site="a" * 129),
    _series(point=None),
    _series(point=""),
    _series(point="x" * 513),
    _series(point="a\tb"),
    _series(start_time=None),
    _series(start_time="garbage"),
    _series(start_time=START_MS + 2 * DAY_MS),
    _series(start_time="2025-02-30T00:00:00Z"),
    _series(start_time=1_735_689_600),
    _series(end_time="soon"),
    _series(TOO_MUCH, start_time=START_MS - 21 * 366 * DAY_MS),
    _series(format="xml"),
    _series(route="sideways"),
    _series(priority="urgent"),
    _series(max_points=1),
    _series(max_points=100_001),
    _series(max_points="many"),
    _series(interval="1D"),
    _series(interval="1h", max_points=10),
    _series(interval="1h", tz="Mars/Olympus_Mons"),
    _series(interval="1h", aggregate="mean,median"),
    _series(aggregate="mean"),
    _series(timeout=0),
    BadRequest(
        TOO_MUCH,
        "POST",
        "/api/timeseries",
        body=b'{"site":"alpha","start_time":1735689600000,"points":['
        + b",".join(b'"p%d"' % number for number in range(5_001))
        + b"]}",
    ),
    BadRequest(REFUSED, "POST", "/api/timeseries", body=b"{"),
    BadRequest(REFUSED, "POST", "/api/timeseries", body=b"[]"),
    BadRequest(
        frozenset({413}),
        "POST",
        "/api/timeseries",
        body=b'{"a":"' + b"x" * 1_048_576 + b'"}',
    ),
    BadRequest(frozenset({404}), "GET", "/api/jobs/job_0123456789abcdef"),
    BadRequest(frozenset({404}), "GET", "/api/jobs/job_0123456789abcdef/data"),
    BadRequest(frozenset({404}), "DELETE", "/api/jobs/nothing"),
    BadRequest(frozenset({404}), "GET", "/api/nothing"),
    BadRequest(frozenset({404}), "GET", "/api/timeseriesXYZ"),
    BadRequest(frozenset({405}), "PUT", "/api/timeseries"),
    BadRequest(frozenset({405}), "POST", "/api/health"),
    BadRequest(REFUSED, "GET", "/api/jobs", [("status", "lost")]),
    BadRequest(REFUSED, "DELETE", "/api/cache"),
    BadRequest(REFUSED, "GET", "/api/cache/objects", [("limit", 0)]),
    BadRequest(REFUSED, "GET", "/api/sites/alpha/points", [("per_page", 0)]),
)  # fmt: skip
