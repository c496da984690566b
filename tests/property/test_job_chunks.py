"""The cutting of jobs into chunks: everything once, nothing too large, as few as can be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from building_vitals.errors import InvalidRequest
from building_vitals.jobs.chunking import CHUNK_SAMPLES, CHUNKS_MAX, plan_chunks
from building_vitals.jobs.model import decode_cursor
from building_vitals.jobs.retrying import retry_delay_s
from building_vitals.ranges import Range
from fakes.job_plans import chunks_of

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_735_689_600_000


@settings(deadline=None)
@given(
    points=st.integers(1, 5000),
    start_ms=st.integers(0, 2 * START_MS),
    duration_ms=st.one_of(st.integers(1, 3 * DAY_MS), st.integers(1, 7305 * DAY_MS)),
    batch_size=st.integers(1, 1000),
    rate=st.floats(24, 86_400),
    page_size=st.none() | st.integers(10_000, 500_000),
    takes_site=st.booleans(),
)
@example(
    points=1,
    start_ms=0,
    duration_ms=1,
    batch_size=50,
    rate=86_400.0,
    page_size=None,
    takes_site=False,
)
@example(
    points=5000,
    start_ms=0,
    duration_ms=7305 * DAY_MS,
    batch_size=1,
    rate=86_400.0,
    page_size=50_000,
    takes_site=False,
)
def test_chunks_tile_the_request(
    *,
    points: int,
    start_ms: int,
    duration_ms: int,
    batch_size: int,
    rate: float,
    page_size: int | None,
    takes_site: bool,
) -> None:
    """Every point and instant lies in exactly one chunk, and no chunk is too large."""
    time_range = Range(start_ms, start_ms + duration_ms)

    def requests_of(count: int, part_ms: int) -> int:
        """Return the pages, or that all requests are alike."""
        return 1 if page_size is None else 1 + int(count * part_ms / DAY_MS * rate / page_size)

    chunks = chunks_of(
        plan_chunks(
            points,
            time_range,
            batch_size=batch_size,
            samples_per_day=rate,
            takes_site=takes_site,
            requests_of=requests_of,
        )
    )
    assert list(range(len(chunks))) == [each.chunk for each in chunks]
    groups: dict[tuple[int, int], list[Range]] = {}
    for each in chunks:
        part = groups.setdefault((each.first_point, each.points_count), [])
        part.append(Range(each.start_ms, each.end_ms))
    reached = 0
    for (first, count), parts in sorted(groups.items()):
        assert reached == first
        assert 0 < count <= (points if takes_site else batch_size)
        reached += count
        assert time_range.start_ms == parts[0].start_ms
        assert time_range.end_ms == parts[-1].end_ms
        assert all(a.end_ms == b.start_ms for a, b in pairwise(parts))
        assert all(part.duration_ms > 0 for part in parts)
    assert points == reached
    if takes_site:
        assert 1 == len(groups)
    else:
        # As few as a batch allows, or more where that helps, down to a quarter of a batch.
        most = -(-points // max(1, batch_size // 4))
        assert -(-points // batch_size) <= len(groups) <= most
    assert len(chunks) <= max(CHUNKS_MAX, len(groups))
    if len(chunks) < CHUNKS_MAX // 2:
        # An edge moves by less than a step, of at most half a part's length where that is days.
        step_samples = max(count for _, count in groups) * HOUR_MS / DAY_MS * rate
        assert max(each.estimated for each in chunks) <= 1.5 * CHUNK_SAMPLES + step_samples + 1


def test_whole_days_are_kept_together() -> None:
    """A month of fifty 5-minute points is two chunks, cut at a midnight."""
    month = Range(START_MS, START_MS + 31 * DAY_MS)
    chunks = chunks_of(
        plan_chunks(
            50,
            month,
            batch_size=50,
            samples_per_day=288,
            takes_site=False,
            requests_of=lambda *_: 1,
        )
    )
    assert 2 == len(chunks)
    assert 0 == chunks[0].end_ms % DAY_MS


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "expected"),
    [(1, None, 1), (2, None, 2), (3, None, 4), (1, 30, 30), (3, 1, 4), (99, None, 3600)],
)
def test_delays_double(attempt: int, retry_after_s: int | None, expected: int) -> None:
    """Each wait is twice the one before, at least what was asked for, and at most an hour."""
    assert expected == retry_delay_s(attempt, retry_delay_ms=1000, retry_after_s=retry_after_s)


def test_short_delays_are_rounded_up() -> None:
    """A delay of less than a second is one second: queues count in seconds."""
    assert 1 == retry_delay_s(1, retry_delay_ms=10, retry_after_s=None)
    assert 0 == retry_delay_s(1, retry_delay_ms=0, retry_after_s=None)


@given(st.one_of(st.text(), st.text("abcdefgh0123456789+/=_-", max_size=40)))
@example("OTk5OTk5OTk5OTk5OTk5OTk5OTk6eA==")
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    """A cursor that no page gave is refused, whatever it is."""
    try:
        decode_cursor(text)
    except InvalidRequest as error:
        assert "cursor" == error.problems[0].field
