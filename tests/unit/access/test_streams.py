"""How many event streams a key may have open."""

from __future__ import annotations

import pytest

from building_vitals.access.streams import LIFE_SIGN_MS, STREAMS_MAX, OpenStreams
from building_vitals.errors import RateLimited


def filled() -> OpenStreams:
    """Return streams of a key that has as many as it may."""
    streams = OpenStreams()
    for n in range(STREAMS_MAX):
        streams.open("key", f"s{n}", 0)
    return streams


def test_a_key_has_so_many_and_no_more() -> None:
    """The next one is refused with the number; other keys are not touched."""
    streams = filled()
    with pytest.raises(RateLimited, match=f"{STREAMS_MAX} are open, and {STREAMS_MAX}") as caught:
        streams.open("key", "more", 1)
    assert (429, 15) == (caught.value.status, caught.value.retry_after_s)
    streams.open("other", "s", 1)


def test_a_closed_stream_makes_room() -> None:
    """Once, however often it is closed."""
    streams = filled()
    for _ in range(2):
        streams.close("key", "s3")
    streams.open("key", "more", 1)
    with pytest.raises(RateLimited):
        streams.open("key", "yet more", 1)


def test_dead_streams_do_not_count_for_ever() -> None:
    """Those that show no sign of life make room; one that does keeps its place."""
    streams = filled()
    streams.touch("key", "s0", LIFE_SIGN_MS - 1)
    streams.open("key", "more", LIFE_SIGN_MS)
    assert 2 == streams.count("key")


def test_nothing_is_left_of_closed_streams() -> None:
    """A key without streams takes no memory, and a late sign of life brings none back."""
    streams = filled()
    for n in range(STREAMS_MAX):
        streams.close("key", f"s{n}")
    streams.touch("key", "s0", 5)
    assert 0 == streams.count("key")
    assert {} == vars(streams)["_seen_ms"]
