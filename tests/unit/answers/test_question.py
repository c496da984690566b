"""Tests of questions and of the form that an answer is wanted in."""

from __future__ import annotations

from typing import Any

import pytest

from building_vitals.answers.question import TimeseriesRequest
from building_vitals.ranges import Range
from fakes.virtual_time import in_virtual_time
from fakes.world import World

RANGE = Range(0, 1000)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {}),
        ({"route": "queued", "priority": "low", "user_id": "u", "wait_s": 3}, {}),
        ({"format": "csv", "layout": "wide"}, {"format": "csv", "layout": "wide"}),
        ({"max_points": 7}, {"max_points": 7}),
        (
            {"interval": "1d", "aggregate": "min,max", "tz": "Asia/Kolkata"},
            {"interval": "1d", "aggregate": "min,max", "tz": "Asia/Kolkata"},
        ),
    ],
)
def test_a_job_keeps_the_form_alone(given: dict[str, Any], kept: dict[str, Any]) -> None:
    """Only what was asked for, and nothing that says how the data are to be had."""
    assert kept == TimeseriesRequest("s", ("a",), RANGE, **given).kept


@in_virtual_time
async def test_only_csv_is_wide() -> None:
    """A layout that was kept with a job says nothing of other formats; a table has its own tag."""
    async with World() as world:
        wide = world.question(("a",), RANGE, format="csv", layout="wide")
        long = world.question(("a",), RANGE, format="csv", layout="long")
        other = world.question(("a",), RANGE, format="json", layout="wide")
        assert [True, False, False] == [each.is_wide for each in (wide, long, other)]
        assert ["wide", "csv", "json"] == [each.form.format for each in (wide, long, other)]
