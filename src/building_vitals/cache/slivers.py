"""
Which fetches are stored in rows of the index, and when slivers have become too many.

What decides is what it costs, in USD per million (docs/cost.md). An object takes a put (4.50) and
its rows in `cache_metadata` and `cache_totals`, when it comes and when it goes (about 13), and of
each segment the entry by which an object's segments are found (1); each hit reads it again (0.36)
and waits for it. In rows nothing of that is paid, but D1 keeps a byte for 50 times the price of
R2: what an object saves at once is spent when 20 kB have lain in rows for a month, or 64 KiB for
nine days. Those of a live chart live for minutes or hours, until what is fetched again takes their
place. Where others add up, compaction puts the largest into an object: they free most bytes for
each row that is written, and are trusted longest.
"""

from __future__ import annotations

from collections.abc import Sequence

from building_vitals.cache.segments import Segment

# Times the largest sliver that all slivers of one fetch may have together, and those of one answer
# before they are put into an object: 64 KiB.
TOGETHER_MAX = 8
# Rows of one point that joining must save: a row costs a thousandth to read of what it costs to
# write, and joining deletes them all and writes one.
SAVED_MIN = 8


def fit_rows(sizes: Sequence[int], sliver_bytes: int) -> bool:
    """
    Return whether what is stored at once goes into rows.

    All of it or nothing: where an object is made anyway, it has room for the small ones.

    Args:
        sizes: Stored bytes of each segment; 0 where there are no samples.
        sliver_bytes: What the largest may have.
    """
    return max(sizes, default=0) <= sliver_bytes and sum(sizes) <= TOGETHER_MAX * sliver_bytes


def are_many(of_point: Sequence[Segment]) -> bool:
    """
    Return whether one point has more rows without an object than it need have, by SAVED_MIN.

    Only those that were fetched at one instant can be joined: the parts of a fetch that went on.
    Left out slivers are not among them: those go into an object anyway.
    """
    small = [
        each for each in of_point if (each.is_sliver or not each.count) and not each.is_left_out
    ]
    if len(small) <= SAVED_MIN:
        return False
    # As app.py says: few points have so many.
    from building_vitals.cache.joining import runs

    return sum(len(parts) - 1 for _, _, parts in runs(small)) >= SAVED_MIN


def are_large(segments: Sequence[Segment], sliver_bytes: int) -> bool:
    """Return whether the slivers of an answer add up to what belongs into an object."""
    size = sum(each.stored_bytes for each in segments if each.is_sliver)
    return size > TOGETHER_MAX * sliver_bytes


def worth_moving(segments: Sequence[Segment], sliver_bytes: int) -> list[Segment]:
    """
    Return the slivers at hand that belong into an object, none unless they are large together.

    The largest, until the others have half of what is large: so it takes a while until more go.
    """
    slivers = [each for each in segments if each.data is not None]
    if not are_large(slivers, sliver_bytes):
        return []
    left = sum(each.stored_bytes for each in slivers)
    found: list[Segment] = []
    for each in sorted(slivers, key=_size_of, reverse=True):
        if 2 * left <= TOGETHER_MAX * sliver_bytes:
            break
        found.append(each)
        left -= each.stored_bytes
    return found


def _size_of(segment: Segment) -> int:
    return segment.stored_bytes
