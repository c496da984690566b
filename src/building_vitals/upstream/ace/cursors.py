"""
The upstream's cursors: read, compared, and computed from a page where the upstream's own is wrong.

Separate and pure, because a known defect is mended here. A cursor is base64 of
`{"offset": n, "timestamp": "…"}`: n rows of the moment *timestamp* have been given. Where a page
begins and ends within one moment, the upstream forgets the rows that the incoming cursor already
counted, and returns the cursor it was given, for ever. Cursors of another shape are taken as they
are.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from building_vitals.instants import parse_iso


class Place(msgspec.Struct, frozen=True):
    """*offset* rows of the moment *timestamp* (as the upstream writes it) have been given."""

    offset: int
    timestamp: str

    @property
    def at_ms(self) -> int:
        """
        The moment, epoch milliseconds.

        Raises:
            ValueError: it is no time.
        """
        return parse_iso(self.timestamp)


_PLACES = msgspec.json.Decoder(Place)


def place_of(cursor: str) -> Place | None:
    """Return what a cursor says; None for one of another shape."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_")
        place = _PLACES.decode(text)
        # A time that can't be read would be found out by the next page at the latest.
        return place if place.offset >= 0 and place.at_ms is not None else None
    except (binascii.Error, ValueError):
        return None


def cursor_of(place: Place) -> str:
    """Return the cursor of a place, as the upstream writes it."""
    return base64.b64encode(msgspec.json.encode(place)).decode()


def repaired(cursor: str, times: list[str], incoming: str | None) -> str:
    """
    Return the cursor of the page after one.

    Args:
        cursor: The page's own `next_cursor`.
        times: Of all its rows, as sent, in their order.
        incoming: The cursor that the page was asked for with; None for the first page.

    Returns:
        The page's own cursor, unless it has the known defect: of a page within one moment it
        counts the page's rows of that moment, without those that the incoming cursor has counted.
        Any other number is taken from the upstream, which knows which rows it counts.
    """
    place = place_of(cursor)
    before = None if incoming is None else place_of(incoming)
    # Times have digits beyond milliseconds: only as text are two moments surely the same.
    if place is None or before is None or before.timestamp != place.timestamp or not times:
        return cursor
    last = times[-1]
    try:
        is_last = place.at_ms == parse_iso(last)
    except ValueError:
        return cursor
    rows = _rows_at_end(times, last)
    # Rows out of order tell nothing of where the page ended.
    if not is_last or last in times[: len(times) - rows] or place.offset != rows:
        return cursor
    return cursor_of(Place(before.offset + rows, place.timestamp))


def _rows_at_end(times: list[str], last: str) -> int:
    """Return how many rows at the end of a page are of its last moment."""
    for rows, time in enumerate(reversed(times)):
        if time != last:
            return rows
    return len(times)
