"""
The name that somebody may have meant by one that nobody knows.

Separate because parameters and points are misspelt in the same ways. Imported late: few requests
name anything wrong.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence

# A name with a few changes still holds most of its parts as they were.
PARTS = 8
# Names that hold most parts are looked at from both ends, and the best of those letter by letter.
SIMILAR_MAX = 256
COMPARED_MAX = 16
# Changes that a near name may be away: a fifth of its letters, and one in the shortest.
CHANGES_SHARE = 5
CHANGES_MAX = 16
# A part of a name stands for it from this many letters on.
PART_LENGTH_MIN = 4
# Of a parameter's letters, more may differ: few are known.
PARAMETER_SHARE = 3
_MARKS = str.maketrans("", "", "_-[]. ")


def nearest_parameter(name: str, known: Sequence[str]) -> str | None:
    """
    Return the parameter that somebody may have meant: `maxPoint` for `max_points`.

    Args:
        name: One that nobody knows.
        known: Those there are; of equally near ones the first.

    Returns:
        The parameter; None where none is near.
    """
    by_letters = {each.translate(_MARKS): each for each in reversed(known)}
    meant = KnownNames(by_letters).nearest(name.translate(_MARKS), share=PARAMETER_SHARE)
    return None if meant is None else by_letters[meant]


class KnownNames:
    """Names among which the nearest is looked for, in upper or lower case."""

    def __init__(self, names: Collection[str]) -> None:
        """
        Args:
            names: Those that are known.
        """
        self._names = [(name.casefold(), name) for name in names]

    def nearest(self, name: str, *, share: int = CHANGES_SHARE) -> str | None:
        """
        Return the known name that differs least, or the shortest that holds *name*.

        Args:
            name: One that nobody knows.
            share: A near name may differ in a letter of so many, two in the short ones.

        Returns:
            The name; None where none is near.

        Cost: one pass in C over the known names, then at most 256 of them are looked at closely.
        """
        folded = name.casefold()
        most = min(
            max(1 if len(folded) < PART_LENGTH_MIN else 2, len(folded) // share), CHANGES_MAX
        )
        parts = list(_parts(folded))
        similar = heapq.nlargest(SIMILAR_MAX, self._similar(folded, parts, most))
        closest = heapq.nlargest(
            COMPARED_MAX, [(_ends(folded, each), each, own) for _, _, each, own in similar]
        )
        ranked = [(changes(folded, each, most), own) for _, each, own in closest]
        found = min((each for each in ranked if each[0] <= most), default=None)
        if found is not None:
            return found[1]
        if len(folded) < PART_LENGTH_MIN:
            return None
        holding = ((len(each), own) for each, own in self._names if folded in each)
        return min(holding, default=(0, None))[1]

    def _similar(
        self, folded: str, parts: list[str], most: int
    ) -> Iterator[tuple[int, int, str, str]]:
        """Yield the names of about the length, with the number of parts that they hold."""
        length = len(folded)
        for each, own in self._names:
            gap = abs(len(each) - length)
            if gap <= most:
                yield sum([part in each for part in parts]), -gap, each, own


def _parts(text: str) -> Iterator[str]:
    size = max(2, -(-len(text) // PARTS))
    return (text[at : at + size] for at in range(0, len(text), size))


def _ends(one: str, other: str) -> int:
    """Return how many letters two texts share at their beginning and at their end."""
    shortest = min(len(one), len(other))
    first = _shared(one, other, shortest)
    return first + _shared(one[::-1], other[::-1], shortest - first)


def _shared(one: Iterable[str], other: Iterable[str], most: int) -> int:
    count = 0
    for mine, yours in zip(one, other, strict=False):
        if count == most or mine != yours:
            break
        count += 1
    return count


def changes(one: str, other: str, most: int) -> int:
    """
    Return how many letters have to be put in, left out or replaced to get from one to the other.

    Args:
        one: A text.
        other: Another one.
        most: More than so many need not be told apart: one more is returned for them.
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before = {at: at for at in range(min(len(other), most) + 1)}
    for row, letter in enumerate(one, 1):
        now: dict[int, int] = {}
        for at in range(max(0, row - most), min(len(other), row + most) + 1):
            if not at:
                now[at] = row
                continue
            replaced = before.get(at - 1, most) + (letter != other[at - 1])
            now[at] = min(replaced, before.get(at, most) + 1, now.get(at - 1, most) + 1)
        if min(now.values()) > most:
            return most + 1
        before = now
    return min(before[len(other)], most + 1)
