"""
Which segments of many objects are worth bringing together in one.

Separate from the compactor because it only reckons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from building_vitals.cache.joining import Run, is_small, runs
from building_vitals.cache.segments import Place, Segment
from building_vitals.cache.slivers import are_many

# Objects that must become one: fewer are not worth the writing.
GATHERED_MIN = 3
# Stored bytes that are brought together at once; what is more stays as it is.
COMPACTED_BYTES_MAX = 8_388_608


def gathered(segments: Iterable[Segment]) -> frozenset[str]:
    """
    Return the objects whose segments are worth bringing together in one.

    The smallest come first, so that what was brought together before is not written again for each
    sliver that is added. None where they would be too few.
    """
    sizes: dict[str, int] = {}
    for each in segments:
        if each.count and is_small(each) and not each.is_sliver:
            sizes[each.key] = sizes.get(each.key, 0) + each.stored_bytes
    found: list[str] = []
    size = 0
    for key in sorted(sizes, key=lambda key: (sizes[key], key)):
        size += sizes[key]
        if size > COMPACTED_BYTES_MAX:
            break
        found.append(key)
    return frozenset(found if len(found) >= GATHERED_MIN else ())


def runs_in_one(known: Mapping[str, Sequence[Segment]], moved: Collection[Place]) -> list[Run]:
    """
    Return what is to be brought together in one object.

    Args:
        known: The segments, by point.
        moved: The slivers that are to lie in an object.
    """
    keys = gathered(each for of_point in known.values() for each in of_point)
    planned: list[Run] = []
    for point, of_point in known.items():
        joins_rows = are_many(of_point)
        chosen = [
            each
            for each in of_point
            if each.key in keys
            or each.place in moved
            # Where nothing is gathered, rows that tell of no samples are left alone too.
            or (not each.count and (keys or joins_rows))
            or (each.data is not None and joins_rows)
        ]
        planned += [
            Run(point, *run)
            for run in runs(chosen)
            # A sliver alone gains nothing by another row.
            if len(run[2]) > 1 or run[2][0][0].place in moved or not run[2][0][0].is_sliver
        ]
    return planned
