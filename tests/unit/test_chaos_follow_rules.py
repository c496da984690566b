"""What the chaos command lets an answer show of a followed site, and what not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaos.follow_rules import (
    LATENESS_MS,
    REMEMBERED_MS,
    FollowRule,
    follow_rule,
    judge_known_until,
)
from chaos.follows import faults_of
from chaos.oracle import CLOCK_MS, LOOK_UP_MS, Following, Truth
from chaos.rules import Inquiry

NOW_MS = 1_767_225_600_000
BEGUN_MS = NOW_MS - 100_000
UNTIL_MS = NOW_MS - 4_000
RULE = FollowRule(BEGUN_MS, 10_000, UNTIL_MS, is_fresh=False)


def rule_of(truth: Truth, meta: dict[str, Any] | None = None) -> FollowRule | None:
    """Return the rule for an answer of this moment."""
    asked = Inquiry(
        site="s",
        points=("p",),
        start_ms=0,
        end_ms=NOW_MS,
        format="json",
        max_points=None,
        asked_ms=NOW_MS,
        request_ms=NOW_MS,
        since_ms=NOW_MS,
        answered_ms=NOW_MS + 9,
        is_failing=False,
    )
    return follow_rule(truth, asked, meta)


@pytest.mark.parametrize(
    ("at_ms", "since_ms"),
    [
        pytest.param(BEGUN_MS - 10**9, BEGUN_MS, id="older than the follow"),
        pytest.param(NOW_MS - 50_000, NOW_MS - 50_000 + LATENESS_MS, id="read for good"),
        pytest.param(UNTIL_MS - 2_000, UNTIL_MS - 2_000, id="read again by the next round"),
    ],
)
def test_nothing_is_older_than_the_last_round_that_read_it(at_ms: int, since_ms: int) -> None:
    """Nor than the follow, whatever trust says."""
    assert since_ms - CLOCK_MS == RULE.since_ms(at_ms, NOW_MS, BEGUN_MS)
    assert 5 == RULE.since_ms(at_ms, 5, BEGUN_MS)


def test_what_an_earlier_follow_left_may_be_older() -> None:
    """As old as it was when that was trusted last; not what came later than the follow."""
    old_ms = BEGUN_MS - 10**9
    assert BEGUN_MS - 9 - CLOCK_MS == RULE.since_ms(old_ms, NOW_MS, BEGUN_MS - 9)
    assert BEGUN_MS - CLOCK_MS == RULE.since_ms(old_ms, NOW_MS, BEGUN_MS + 9)


def test_what_rounds_have_not_read_is_judged_by_trust() -> None:
    """As on any site; an answer that does not tell of the last round is judged by the sample."""
    assert NOW_MS == RULE.since_ms(UNTIL_MS, NOW_MS, BEGUN_MS)
    unsaid = replace(RULE, known_until_ms=None)
    assert NOW_MS - 50_000 - CLOCK_MS == unsaid.since_ms(NOW_MS - 50_000, NOW_MS, BEGUN_MS)


@pytest.mark.parametrize(
    ("rule", "young_ms"),
    [
        pytest.param(RULE, UNTIL_MS, id="healthy"),
        pytest.param(replace(RULE, is_fresh=True), NOW_MS - CLOCK_MS, id="fresh"),
        pytest.param(replace(RULE, known_until_ms=NOW_MS - 20_000), NOW_MS - CLOCK_MS, id="behind"),
        pytest.param(
            replace(RULE, known_until_ms=None),
            NOW_MS - CLOCK_MS - LOOK_UP_MS - 10_000,
            id="no word of it",
        ),
    ],
)
def test_what_came_after_the_last_round_may_be_missing(rule: FollowRule, young_ms: int) -> None:
    """While rounds come as they should, and nobody asks for it."""
    assert young_ms == rule.young_ms(NOW_MS)


def test_a_site_counts_as_followed_as_long_as_an_isolate_may_believe_it() -> None:
    """From the moment that it was asked for, until its end has been heard of everywhere."""
    following = Following("s", NOW_MS, [(NOW_MS, 5_000)])
    truth = Truth(followings=[following, Following("other", BEGUN_MS)])
    found = rule_of(truth, {"cache": {"knownUntil": 7}})
    assert FollowRule(NOW_MS, 10_000, 7, is_fresh=False) == found
    following.begun_ms = NOW_MS + 10
    assert rule_of(truth) is None
    following.begun_ms, following.ended_ms = BEGUN_MS, NOW_MS - REMEMBERED_MS - CLOCK_MS
    assert rule_of(truth) is not None
    following.ended_ms -= 1
    assert rule_of(truth) is None


def test_the_longest_interval_that_was_in_force_counts() -> None:
    """One that was changed before is none; one that is changed meanwhile may be."""
    following = Following("s", 0, [(0, 60), (100, 20), (200, 30), (300, 90)])
    assert [60, 60, 20, 30, 90] == [
        following.every_ms(since_ms, until_ms)
        for since_ms, until_ms in ((0, 99), (50, 120), (100, 150), (150, 250), (300, 400))
    ]
    assert 0 == Following("s", 0).every_ms(0, 9)


def test_what_an_answer_says_of_the_last_round_is_judged() -> None:
    """Nothing of a site that nobody follows, and nothing of the future."""
    of_last = {"cache": {"knownUntil": UNTIL_MS}}
    assert [] == [*judge_known_until(RULE, of_last, NOW_MS)]
    assert [] == [*judge_known_until(None, {"cache": {}}, NOW_MS)]
    assert ["follow"] == [rule for rule, _ in judge_known_until(None, of_last, NOW_MS)]
    assert ["follow"] == [rule for rule, _ in judge_known_until(RULE, of_last, UNTIL_MS - 1001)]


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, 0),
        ({"state": "asleep"}, 1),
        ({"every": "2m"}, 1),
        ({"lagSeconds": -1}, 1),
        ({"error": "upstream failed"}, 1),
        ({"state": "failing", "error": "upstream failed"}, 0),
        ({"backfill": {"progress": 101, "etaSeconds": 0}}, 1),
        ({"backfill": {"progress": 99, "etaSeconds": None}}, 1),
    ],
)
def test_the_document_of_a_follow_is_judged(changed: dict[str, Any], faults: int) -> None:
    """Each member that can't be so is told of."""
    document = {
        "state": "following",
        "every": "1m",
        "lagSeconds": 3,
        "error": None,
        "backfill": {"progress": 100, "etaSeconds": 0},
    }
    assert faults == len([*faults_of({**document, **changed}, NOW_MS, every="1m")])
