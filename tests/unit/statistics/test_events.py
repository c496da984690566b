"""Weights of sampled requests, and the facts that a log line is made of."""

from __future__ import annotations

import random

import pytest

from building_vitals.statistics.events import RequestFacts, drawn_weight


@pytest.mark.parametrize("rate", [0.9, 0.5, 0.3, 0.07])
def test_weights_count_without_bias(rate: float) -> None:
    """The sum of the weights is the number of requests, as near as chance allows."""
    chance = random.Random(7).random
    count = 200_000
    weights = [drawn_weight(rate, chance) for _ in range(count)]
    assert abs(sum(weights) / count - 1) < 0.03
    drawn = [weight for weight in weights if weight]
    assert abs(len(drawn) / count - rate) < 0.01
    assert {int(1 / rate), int(1 / rate) + 1} >= set(drawn)


def test_all_or_none() -> None:
    """At rate 1 each request stands for itself, at 0 none is recorded; no chance is asked."""
    chance = iter(()).__next__
    assert 1 == drawn_weight(1.0, chance)
    assert 0 == drawn_weight(0.0, chance)


def test_log_fields_are_those_that_are_known() -> None:
    """Facts stand in the line under the names that the log has; unknown facts are left out."""
    facts = RequestFacts()
    assert {} == facts.log_fields()
    facts.site, facts.points, facts.cache_status = "hq", 0, "hit"
    facts.upstream_requests, facts.is_new, facts.job_id = 3, False, "j"
    assert [
        *(("site", "hq"), ("points", 0), ("cache", "hit"), ("upstreamRequests", 3)),
        *(("jobId", "j"), ("isNew", False)),
    ] == list(facts.log_fields().items())


def test_facts_of_requests_are_their_own() -> None:
    """Every fact may be set, none is shared."""
    first, second = RequestFacts(), RequestFacts()
    first.steps = [{"name": "a", "changed": 1}]
    assert {"steps": [{"name": "a", "changed": 1}]} == first.log_fields()
    assert {} == second.log_fields()
