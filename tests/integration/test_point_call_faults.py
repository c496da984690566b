"""Warts of the upstream on calls by point: they are repeated, and fail, like pages."""

from __future__ import annotations

import pytest

from integration.harness.keyed_worker import KeyedWorker
from integration.harness.oracle import assert_exact, assert_problem
from integration.test_direct_faults import three_pages


@pytest.mark.parametrize(
    "kind",
    [
        *("500", "429", "cut", "invalid_json", "invalid_utf8", "wrong_shape", "html", "reset"),
        *("deep_value", "cut list", "500 list"),
    ],
)
def test_calls_by_point_have_the_same_patience(keyed: KeyedWorker, site: str, kind: str) -> None:
    """The call that takes names, and the site's list beside it, are repeated, and fail alike."""
    upstream, client = keyed.upstream, keyed.client("admin")
    wart, _, where = kind.partition(" ")
    on = ("configured_points",) if where else ("points_timeseries",)
    for number in range(2):
        name = f"{site}-{number}"
        question = three_pages(upstream, name, names=[f"{name}, {each}" for each in range(10)])
        if number:
            upstream.faults.always(name, wart, on=on)
            assert_problem(question.ask(client, "direct"), 502)
            upstream.faults.clear(name)
        else:
            upstream.faults.once(name, wart, on=on)
        assert_exact(upstream, question, question.ask(client, "direct"))
        assert {"points_timeseries", "configured_points"} == {o.kind for o in upstream.log(name)}
