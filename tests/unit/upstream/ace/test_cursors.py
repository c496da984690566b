"""Cursors: read, compared, and computed where the service's own are wrong."""

from __future__ import annotations

import base64
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals.upstream.ace.cursors import Place, cursor_of, place_of, repaired
from fakes.ace import next_place, place_cursor, row_of

# Two of them lie within one millisecond: the service's times have six digits.
MOMENTS = [
    "2025-10-12T14:50:36",
    "2025-10-12T14:50:36.055100",
    "2025-10-12T14:50:36.055960",
    "2025-10-12T14:51:00",
]
TIMES = st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=40).map(sorted)


def walk(times: list[str], page_size: int) -> list[int]:
    """Return the rows that a walk over the defective service's pages gives, in its order."""
    given_rows: list[int] = []
    cursor: str | None = None
    for pages in count(1):
        assert pages <= len(times), f"the walk stands still at {cursor}"
        first = row_of(times, cursor)
        last = min(first + page_size, len(times))
        given_rows += range(first, last)
        if last == len(times):
            break
        own = next_place(times, first, last, cursor, is_defective=True)
        cursor = repaired(own, times[first:last], cursor)
    return given_rows


@given(TIMES, st.integers(1, 45))
def test_a_walk_with_repaired_cursors_gives_every_row_once(
    times: list[str], page_size: int
) -> None:
    """Whatever the size of a page, the defect neither stops the walk nor costs a row."""
    assert [*range(len(times))] == walk(times, page_size)


@given(TIMES, st.integers(1, 45))
def test_a_right_cursor_stays_as_it_is(times: list[str], page_size: int) -> None:
    """Where the service counts rightly, repaired is what it sent, to the letter."""
    cursor: str | None = None
    for first in range(0, len(times) - page_size, page_size):
        last = first + page_size
        own = next_place(times, first, last, cursor, is_defective=False)
        assert own == repaired(own, times[first:last], cursor)
        cursor = own


def test_the_measured_defect() -> None:
    """A page within one moment returns the cursor it was given: the rows before count too."""
    moment = MOMENTS[0]
    stuck = place_cursor(50, moment)
    assert Place(100, moment) == place_of(repaired(stuck, [moment] * 50, stuck))


@pytest.mark.parametrize("before", [None, place_cursor(4, MOMENTS[0]), place_cursor(4, MOMENTS[3])])
def test_rows_that_the_service_does_not_count_skip_nothing(before: str | None) -> None:
    """Some samples come twice: a cursor that counts each once is right, and is taken."""
    own = place_cursor(7 if before is None else 11, MOMENTS[3])
    assert own == repaired(own, [MOMENTS[3]] * 9, before)


@given(TIMES, st.integers(1, 45), st.booleans())
def test_rows_that_come_twice_cost_no_others(
    times: list[str], page_size: int, is_defective: bool
) -> None:
    """Where the upstream counts a row once that it sends twice, no row is passed over for it."""
    last = min(page_size, len(times))
    own = next_place(times, 0, last, None, is_defective=is_defective)
    twice = [time for time in times[:last] for _ in range(2)]
    for incoming in (None, place_cursor(1, "2025-10-12T14:00:00")):
        assert own == repaired(own, twice, incoming)


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "at-30", "é", "12", "[]", base64.b64encode(b"[1]").decode()),
        *(place_cursor(-1, MOMENTS[0]), place_cursor(1, "noon")),
        base64.b64encode(b'{"offset":"3","timestamp":"2025-10-12T14:50:36"}').decode(),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_cursors_of_another_shape_are_taken_as_they_are(cursor: str) -> None:
    """What is not offset and time is nobody's to repair."""
    assert place_of(cursor) is None
    assert cursor == repaired(cursor, [MOMENTS[0]] * 3, cursor)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([], id="no rows"),
        pytest.param(["noon"], id="a time that can't be read"),
        pytest.param([MOMENTS[3], MOMENTS[0], MOMENTS[3]], id="rows out of order"),
        pytest.param([MOMENTS[0]], id="rows that end at another moment"),
    ],
)
def test_rows_that_tell_nothing_leave_the_cursor(times: list[str]) -> None:
    """A cursor is computed only from rows that say where their page ended."""
    own = place_cursor(7, MOMENTS[3])
    assert own == repaired(own, times, own)


def test_places_are_read_as_they_are_written() -> None:
    """With padding or without, in either alphabet, as text of the moment and as an instant."""
    place = Place(3, "2025-10-12T14:50:36.055")
    assert place == place_of(cursor_of(place)) == place_of(cursor_of(place).rstrip("="))
    odd = Place(1, "2025-10-12T14:50:36.055100")
    assert odd == place_of(base64.urlsafe_b64encode(base64.b64decode(cursor_of(odd))).decode())
    assert 1_760_280_636_055 == place.at_ms
