"""
Whether calls by point give the same samples as the site's pages, told from a few minutes of both.

Pure. One page of the site, asked for with a filter, tells two things: whether the filter is heeded,
and whether the samples are those that a call by point has just given.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from building_vitals.instants import DAY_MS, MINUTE_MS, format_instant, parse_iso
from building_vitals.ranges import Range
from building_vitals.series.values import value_text
from building_vitals.upstream.ace.wire import NO_TEXT, Page, WireSample

# Two buckets of the usual 5 minutes: points of a site report together.
WINDOW_MS = 10 * MINUTE_MS
# Over less than most of a bucket a count is chance: the first moment of an hour would be a rate of
# thousands of millions of samples a day, by which each later answer is asked for in many parts.
RATE_DURATION_MIN_MS = 4 * MINUTE_MS
# Samples come late: what is younger may differ for that reason alone.
SETTLED_AFTER_MS = 15 * MINUTE_MS
# Names that are compared: they must fit a filter.
NAMES_MAX = 5
_SECONDS = len("2025-01-01T00:00:00")


class Tail(msgspec.Struct, frozen=True):
    """
    The last samples of some points, as a call by point gave them.

    Attributes:
        names: The points.
        time_range: The range that the samples are all of.
        samples: In any order.
    """

    names: tuple[str, ...]
    time_range: Range
    samples: list[WireSample]


class Finding(msgspec.Struct, frozen=True):
    """
    What a comparison has shown.

    Attributes:
        is_filter_heeded: Whether the page holds no other points.
        is_same: Whether the samples are the same; None where too few came to tell.
        samples_per_day: Of the whole site; None where the page does not tell.
    """

    is_filter_heeded: bool
    is_same: bool | None
    samples_per_day: float | None


def tail_of(samples: Sequence[WireSample], part: Range) -> Tail | None:
    """
    Return the last minutes of an answer to a call by point; None where there is nothing.

    Args:
        samples: Of the answer.
        part: The range to look at: of what was asked for, what no late samples will join.
    """
    try:
        # Times are compared as text, to the second: an answer has 50,000 of them.
        bound = format_instant(part.end_ms)[:_SECONDS]
        last_ms = parse_iso(max(time for sample in samples if (time := sample.time or "") < bound))
    except ValueError:
        return None
    time_range = Range(last_ms - WINDOW_MS + 1, last_ms + 1).clip(part)
    if time_range is None:
        return None
    least = format_instant(time_range.start_ms)[:_SECONDS]
    recent = [sample for sample in samples if least <= (sample.time or "") < bound]
    names = tuple(dict.fromkeys(sample.name for sample in recent))[:NAMES_MAX]
    return Tail(names, time_range, [sample for sample in recent if sample.name in names])


def compare(tail: Tail, page: Page) -> Finding | None:
    """
    Return what a page of the site shows beside the tail of the same range; None for nothing.

    Args:
        tail: What a call by point gave.
        page: The answer to a question for the tail's range, filtered by its names.
    """
    rows = page.point_samples
    if not rows:
        return None
    time_range = tail.time_range
    if page.has_more:
        # What the page ends in may go on in the next.
        last_ms = parse_iso(rows[-1].time or "")
        time_range = Range(time_range.start_ms, max(time_range.start_ms, last_ms))
    is_heeded = {row.name for row in rows} <= {*tail.names, NO_TEXT}
    by_point, by_page = _known(tail.samples, time_range), _known(rows, time_range)
    shared = by_point.keys() & by_page.keys()
    duration_ms = time_range.duration_ms
    count = sum(len(samples) for samples in by_page.values())
    return Finding(
        is_filter_heeded=is_heeded,
        is_same=all(by_point[name] == by_page[name] for name in shared) if shared else None,
        samples_per_day=None
        if is_heeded or duration_ms < RATE_DURATION_MIN_MS
        else count * DAY_MS / duration_ms,
    )


def _known(samples: Sequence[WireSample], time_range: Range) -> dict[str, dict[int, str]]:
    """Return the values of each point by their instants, within a range."""
    known: dict[str, dict[int, str]] = {}
    for sample in samples:
        try:
            at_ms = parse_iso(sample.time)
        except (TypeError, ValueError):
            continue
        if time_range.start_ms <= at_ms < time_range.end_ms:
            known.setdefault(sample.name, {})[at_ms] = value_text(sample.value)
    return known
