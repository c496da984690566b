"""
What is said of points that a site does not have: the names that were meant, where one is near.

Separate because few answers have such points: it is imported when the first one does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from building_vitals.answers.pieces import UNKNOWN_POINT, PointPieces
from building_vitals.nearest import KnownNames

# Points of one answer for which a near name is looked for: each takes milliseconds.
HINTS_MAX = 10
# A longer list is not looked through.
NAMES_MAX = 20_000


def with_hints(parts: Sequence[PointPieces], names: Collection[str]) -> list[PointPieces]:
    """
    Return the same parts, the errors of the first unknown points with the nearest name.

    Args:
        parts: Of all requested points, in the order of the request.
        names: The site's points; of a very long list only what a comma has divided is told.
    """
    unknown = [each.point for each in parts if each.error == UNKNOWN_POINT][:HINTS_MAX]
    hints = _divided(parts, names)
    if len(names) <= NAMES_MAX:
        known = KnownNames(names)
        for point in unknown:
            if point not in hints and (name := known.nearest(point)) is not None:
                hints[point] = name
    return [
        each._replace(error=_said(hints[each.point])) if each.point in hints else each
        for each in parts
    ]


def _divided(parts: Sequence[PointPieces], names: Collection[str]) -> dict[str, str]:
    """Return the names of which a comma in `points=` has made two unknown points."""
    found = {}
    for one, other in pairwise(parts):
        if one.error is None or other.error is None:
            continue
        for name in (f"{one.point}, {other.point}", f"{one.point},{other.point}"):
            if name in names:
                found[one.point] = found[other.point] = name
    return found


def _said(name: str) -> str:
    how = "; points= is divided at commas, point= is not" if "," in name else ""
    return f'{UNKNOWN_POINT}; the nearest is "{name}"{how}'
