"""
How large answers may be, and what memory a fetch takes with them.

Pure. Large answers take fewer requests, each of which takes seconds; small ones let more fetches go
on side by side.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from building_vitals.series.frames import FRAME_SAMPLES_MIN
from building_vitals.upstream.ace.planning import SiteCosts

# Samples of an answer where memory is short: of the sizes of pages, the next but one below 100,000.
SMALL_ANSWER_SAMPLES = 10_000
# Bytes of a sample on the wire, with a name of usual length: what an answer is read against is
# twice that, for longer ones.
WIRE_BYTES = 160
# Memory of a sample in an answer: its text, as JavaScript's and as Python's bytes, and a part of it
# decoded.
FLYING_BYTES = 150
# Memory of a sample that has been taken in and lies in no frame yet, and of how many at most: a
# point has those of a day beside what a frame begins with.
OPEN_BYTES = 40
OPEN_SAMPLES_MAX = 250_000
# Pages of one query that are there at once: one is decoded while the next is on its way.
PAGES_AT_ONCE = 2
# A fetch takes as much, however small.
FETCH_BYTES_MIN = 1_000_000
# The most that a chunk takes by calls by point of a site whose rate nobody has seen: an answer has
# no bound but that of its bytes, and may be many times as large as reckoned.
UNSEEN_BYTES_MAX = 20_000_000
# The least that an answer is read against: a page of a site may hold a few large values.
ANSWER_BYTES_MIN = 2_000_000


class FetchSizing(NamedTuple):
    """
    How large a fetch is made.

    Attributes:
        costs: With the size of its answers.
        in_flight: Requests that it has under way at once, at most.
        bytes: The memory that it takes, estimated.
    """

    costs: SiteCosts
    in_flight: int
    bytes: int


def fetch_sizing(
    costs: SiteCosts, points_count: int, duration_ms: int, in_flight: int, bytes_max: int
) -> FetchSizing:
    """
    Return the largest size that a fetch may have within *bytes_max*.

    Rather fewer answers at once than small ones: those take more requests. The smallest size of all
    is returned where none fits.
    """
    widths = [*range(in_flight, 0, -1)]
    tried = [(costs, width) for width in widths]
    profile = costs.profile
    is_seen = bool(profile.point_samples_per_day or profile.samples_per_day)
    if not is_seen and not costs.is_awaited and costs.way(points_count, duration_ms) == "points":
        bytes_max = min(bytes_max, UNSEEN_BYTES_MAX)
        tried = tried[:1]
    tried += [(small(costs), width) for width in widths]
    sizes = [
        FetchSizing(each, width, fetch_bytes(each, points_count, duration_ms, width))
        for each, width in tried
    ]
    return next((each for each in sizes if each.bytes <= bytes_max), sizes[-1])


def fetch_bytes(costs: SiteCosts, points_count: int, duration_ms: int, in_flight: int) -> int:
    """Return the memory that a fetch takes, estimated; *in_flight* answers are on their way."""
    if costs.takes_site(points_count, duration_ms):
        in_flight = PAGES_AT_ONCE
    samples = costs.samples(points_count, duration_ms)
    flying = min(samples, in_flight * max(costs.answer_samples, costs.page_samples))
    open_samples = points_count * (FRAME_SAMPLES_MIN + costs.samples_per_day)
    held = min(samples, open_samples, OPEN_SAMPLES_MAX)
    return FETCH_BYTES_MIN + int(flying * FLYING_BYTES + held * OPEN_BYTES)


def small(costs: SiteCosts) -> SiteCosts:
    """Return the same with small answers."""
    return replace(
        costs,
        page_size=min(costs.page_size, SMALL_ANSWER_SAMPLES),
        answer_samples=SMALL_ANSWER_SAMPLES,
    )


def answer_bytes_max(costs: SiteCosts, bytes_max: int) -> int:
    """Return how many bytes of an answer are read; *bytes_max* at most."""
    samples = max(costs.answer_samples, costs.page_samples)
    return min(bytes_max, max(ANSWER_BYTES_MIN, 2 * WIRE_BYTES * samples))
