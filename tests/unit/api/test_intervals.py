"""Tests of wishes for buckets: what is read, and everything that is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from building_vitals.answers.question import Aggregation, TimeseriesRequest
from building_vitals.api.intervals import BUCKETS_MAX
from building_vitals.api.requests import parse_body, parse_query
from building_vitals.api.routes import ENDPOINTS
from building_vitals.errors import InvalidRequest
from building_vitals.jobs.submission import request_hash

[GET] = [each for each in ENDPOINTS if each.operation_id == "getTimeseries"]
[POST] = [each for each in ENDPOINTS if each.operation_id == "postTimeseries"]
ASKED = "site=s&points=a&start_time=2025-01-01&end_time=2025-02-01"


def query(more: str, asked: str = ASKED) -> TimeseriesRequest:
    """Return the request of a query."""
    return parse_query(f"{asked}&{more}", GET.parameters, timeout_ms_max=30_000)


def body(**more: Any) -> TimeseriesRequest:
    """Return the request of a body."""
    members = {"site": "s", "points": ["a"], "start_time": "2025-01-01", "end_time": "2025-02-01"}
    return parse_body(
        json.dumps(members | more).encode(),
        "application/json",
        POST.parameters,
        timeout_ms_max=30_000,
        now_ms=0,
    )


def problems(ask: Any, *arguments: Any, **options: Any) -> dict[str, str]:
    """Return what is told to be wrong, by the fields."""
    with pytest.raises(InvalidRequest) as refused:
        ask(*arguments, **options)
    return {each.field: each.message for each in refused.value.problems}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("interval=1d", Aggregation("1d", ("mean",), "UTC")),
        ("interval=15m&aggregate=max&tz=UTC", Aggregation("15m", ("max",), "UTC")),
        (
            "interval=1mo&aggregate=min,%20max&aggregate=mean&tz=Europe/Berlin",
            Aggregation("1mo", ("min", "max", "mean"), "Europe/Berlin"),
        ),
        ("interval=1w&aggregate=sum%2Csum,twa", Aggregation("1w", ("sum", "twa"), "UTC")),
        ("interval=1h&tz=Etc/GMT%2B5", Aggregation("1h", ("mean",), "Etc/GMT+5")),
    ],
)
def test_queries(more: str, expected: Aggregation) -> None:
    """Aggregates are separated by commas or repeated, in their order; one that is there counts."""
    assert expected == query(more).aggregation


@pytest.mark.parametrize("aggregate", ["max,min,max", ["max", "min"]])
def test_bodies(aggregate: Any) -> None:
    """The same as text, or as an array."""
    found = body(interval="6h", aggregate=aggregate, tz="Asia/Kolkata")
    assert Aggregation("6h", ("max", "min"), "Asia/Kolkata") == found.aggregation
    assert Aggregation("6h", ("mean",), "UTC") == body(interval="6h", aggregate=None).aggregation


def test_without_an_interval_there_are_samples() -> None:
    """Nothing is aggregated that nobody asked for."""
    assert query("").aggregation is None


@pytest.mark.parametrize(
    ("more", "field", "message"),
    [
        ("interval=1D", "interval", "not allowed: '1D'; a number and s, m, h, d, w, mo or y are"),
        ("interval=h", "interval", "1 characters: 'h'; a number and"),
        ("interval=0h", "interval", "not allowed: '0h'"),
        ("interval=21y", "interval", "longer than 20 years: 21y; a number and"),
        ("interval=1h&interval=2h", "interval", "given 2 times; once is allowed"),
        ("interval=1h&aggregate=avg", "aggregate", "unknown: 'avg'; mean, min, max, sum, count,"),
        ("interval=1h&aggregate=", "aggregate", "unknown: ''; mean, min"),
        ("interval=1h&aggregate=min,,max", "aggregate", "unknown: ''"),
        ("interval=1h&tz=europe/berlin", "tz", "the nearest is Europe/Berlin"),
        ("interval=1h&tz=Mars/Olympus_Mons", "tz", "unknown time zone: 'Mars/Olympus_Mons'; the"),
        ("interval=1h&tz=../../etc", "tz", "not allowed: '../../etc'"),
        ("interval=1h&tz=", "tz", "0 characters"),
        ("aggregate=max", "aggregate", "says nothing without interval"),
        ("tz=Europe/Berlin", "tz", "says nothing without interval"),
        ("interval=1h&max_points=10", "max_points", "leave out one of the two"),
        ("interval=10s", "interval", "too many buckets: about 267,841 of each point; 200,000 are"),
        ("intervall=1h", "intervall", "the nearest known one is interval"),
    ],
)
def test_what_is_refused(more: str, field: str, message: str) -> None:
    """Each with a text that says what is allowed."""
    found = problems(query, more)
    assert [field] == list(found)
    assert message in found[field]


def test_all_problems_are_told_at_once() -> None:
    """Those of other parameters, too."""
    found = problems(query, "interval=1s&tz=Nowhere&max_points=10&format=xml&aggregate=avg")
    assert ["aggregate", "format", "interval", "max_points", "tz"] == sorted(found)
    found = problems(query, "tz=Nowhere/Nothing&aggregate=max", asked="points=a&end_time=1")
    assert ["aggregate", "end_time", "site", "start_time", "tz"] == sorted(found)


@pytest.mark.parametrize("aggregate", [[], {}, 5, [5], ["max", None], [["max"]], ""])
def test_bodies_that_are_refused(aggregate: Any) -> None:
    """Neither a text nor an array of some."""
    assert ["aggregate"] == list(problems(body, interval="1h", aggregate=aggregate))


def test_as_many_buckets_as_are_allowed() -> None:
    """The hours of 20 years are few enough, and their quarters too many."""
    years = "site=s&points=a&start_time=2005-01-01&end_time=2025-01-01"
    assert query("interval=1h", years).interval == "1h"
    assert 20 * 366 * 24 < BUCKETS_MAX
    assert ["interval"] == list(problems(query, "interval=15m", asked=years))


def test_requests_for_other_buckets_are_other_requests() -> None:
    """A job keeps what was asked of it, so another wish is another job."""
    wishes = ["", "interval=1d", "interval=1w", "interval=1d&aggregate=max"]
    wishes += ["interval=1d&tz=Asia/Kolkata", "interval=1d&aggregate=max,min"]
    requests = [query(each) for each in wishes]
    assert len(wishes) == len({request_hash(each) for each in requests})
    assert {"interval": "1d", "aggregate": "max,min"} == requests[-1].kept
