"""How many answers are streamed at once, and of how large parts."""

from __future__ import annotations

import pytest

from building_vitals.answers.stream_limit import (
    LIFE_SIGN_MS,
    NARROW_BYTES,
    STREAMS_MAX,
    WIDE_BYTES,
    WIDE_MAX,
    StreamLimit,
)
from building_vitals.errors import Overloaded


def test_parts_are_small_where_many_are_under_way() -> None:
    """Also those of answers that were begun before the others came."""
    limit = StreamLimit()
    places = [limit.enter(0) for _ in range(WIDE_MAX)]
    assert (WIDE_BYTES, True) == (places[0].window_bytes, places[0].reads_ahead)
    last = limit.enter(0)
    assert (NARROW_BYTES, False) == (places[0].window_bytes, last.reads_ahead)
    last.leave()
    last.leave()
    assert (WIDE_BYTES, True) == (places[0].window_bytes, places[0].reads_ahead)


def test_beyond_a_number_none_is_begun() -> None:
    """The client is told when to come again."""
    limit = StreamLimit()
    places = [limit.enter(0) for _ in range(STREAMS_MAX)]
    with pytest.raises(Overloaded) as refused:
        limit.enter(0)
    assert (503, 15) == (refused.value.status, refused.value.retry_after_s)
    places[3].leave()
    limit.enter(0)


def test_a_stream_that_does_not_go_on_counts_no_longer() -> None:
    """Its invocation may have been ended from outside, and then nothing of it runs any more."""
    limit = StreamLimit()
    places = [limit.enter(0) for _ in range(STREAMS_MAX)]
    places[0].touch(1_000)
    for _ in range(STREAMS_MAX - 1):
        limit.enter(LIFE_SIGN_MS)
    with pytest.raises(Overloaded):
        limit.enter(LIFE_SIGN_MS)
