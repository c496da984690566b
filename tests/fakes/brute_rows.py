"""Rows of hours and days as they are defined, from the samples of a point."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from building_vitals.ranges import Range
from fakes.brute_aggregates import Reading, brute_row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DIGITS = {"first", "last", "min", "max"}


def brute_rows(
    samples: Sequence[Sequence[Any]], names: Sequence[str], time_range: Range, zone: str
) -> list[list[float]]:
    """
    Return the rows of days in a zone.

    Args:
        samples: Of a point in the range.
        names: Aggregates.
        time_range: The range.
        zone: Its name.
    """
    days: dict[datetime, list[Reading]] = {}
    for time_ms, value in samples:
        if type(value) in (int, float):
            local = (EPOCH + timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone))
            begin = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
            days.setdefault(begin, []).append(Reading(time_ms, json.dumps(value)))
    rows: list[list[float]] = []
    before = None
    for begin, held in days.items():
        begin_ms = round(begin.timestamp() * 1000)
        following = begin.replace(tzinfo=None) + timedelta(days=1)
        end_ms = round(following.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
        bucket = Range(begin_ms, min(end_ms, time_range.end_ms))
        rows.append([begin_ms, *(float(brute_row(name, bucket, held, before)) for name in names)])
        before = held[-1]
    return rows
