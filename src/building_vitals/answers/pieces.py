"""The pieces of stored objects that an answer is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from building_vitals.answers.question import AnswerForm
from building_vitals.cache.coverage import Cover
from building_vitals.cache.segments import Piece, Segment, pieces
from building_vitals.ranges import Range

if TYPE_CHECKING:
    from building_vitals.cache.rollup_plans import HoursOrSamples

# Objects of one answer whose hits are counted; what is more lies in objects due for compaction.
OBJECT_KEYS_MAX = 100
# Bytes of slivers in a look-up that the isolate keeps for a second: it keeps up to 128.
KEPT_SLIVERS_BYTES_MAX = 65_536
# Pieces and segments of one answer that it keeps so.
KEPT_PIECES_MAX = 4_096


UNKNOWN_POINT = "unknown point"
# Changes with which samples are chosen of the same ones.
LEVELS_EDITION = b"levels 1"


class PointPieces(NamedTuple):
    """
    A requested point with what its samples are made of, in order of time.

    *error* says why there are none; *known* are the segments, where not all samples are wanted.
    Where rows come of rollups, *plan* says what is read for them, and the pieces are those of it.
    """

    point: str
    pieces: list[Piece]
    error: str | None = None
    known: Sequence[tuple[Segment, Range]] = ()
    plan: Sequence[HoursOrSamples] | None = None


# Gives a point whose rows come of rollups; None where all of its samples are gone through.
RolledOf = Callable[[Cover], PointPieces | None]


def resolve(
    covers: Sequence[Cover], *, has_known: bool = False, rolled_of: RolledOf | None = None
) -> list[PointPieces]:
    """
    Return the pieces each cover is made of.

    Args:
        covers: One for each point.
        has_known: Whether other things than all samples are made of the segments.
        rolled_of: Gives points whose rows come of rollups; None where none are wanted.

    Raises:
        DirectoryMissing: a segment must be cut whose directory was not loaded.
        SliverMissing: there is a sliver whose bytes were not loaded.
    """
    return [_resolved(cover, has_known=has_known, rolled_of=rolled_of) for cover in covers]


def _resolved(cover: Cover, *, has_known: bool, rolled_of: RolledOf | None) -> PointPieces:
    rolled = None if rolled_of is None else rolled_of(cover)
    if rolled is not None:
        return rolled
    return PointPieces(
        cover.point,
        [piece for segment, part in cover.known for piece in pieces(segment, part)],
        UNKNOWN_POINT if cover.is_unknown else None,
        cover.known if has_known else (),
    )


def lacks_directory(cover: Cover) -> bool:
    """Return whether a cover has a segment of which only the whole can be taken."""
    return any(segment.count and not segment.has_directory for segment, _ in cover.known)


def with_loaded(covers: Sequence[Cover], loaded: Iterable[Segment]) -> list[Cover]:
    """Return the same covers, their segments as they have been loaded: with frame directories."""
    found = {_identity(each): each for each in loaded}
    return [
        msgspec.structs.replace(
            cover, known=[(found.get(_identity(each), each), part) for each, part in cover.known]
        )
        for cover in covers
    ]


def _identity(segment: Segment) -> tuple[str, int, int, int]:
    return segment.point, segment.start_ms, segment.end_ms, segment.fetched_ms


def entity_tag(parts: Sequence[PointPieces], form: AnswerForm) -> str:
    """
    Return an answer's entity tag: the same for the same samples in the same form.

    Weak, because `_meta` differs from answer to answer. Objects are immutable and their keys never
    used twice, so pieces identify samples.
    """
    *fields, aggregation = msgspec.structs.astuple(form)
    # Those of samples stay as they were before there were aggregates.
    if aggregation is not None:
        fields.append(aggregation)
    digest = hashlib.sha256(repr(tuple(fields)).encode())
    if form.max_points is not None:
        digest.update(LEVELS_EDITION)
    for point, of_point, error, *_ in parts:
        digest.update(f"\n{point}\n{error or ''}".encode())
        digest.update(
            "".join(
                f"{each.key},{each.offset},{each.stored_bytes},{each.time_range};"
                for each in of_point
            ).encode()
        )
    return f'W/"{digest.hexdigest()[:32]}"'


def total_stored_bytes(parts: Sequence[PointPieces]) -> int:
    """Return the bytes of all pieces."""
    return sum(piece.stored_bytes for part in parts for piece in part.pieces)


def object_keys(parts: Sequence[PointPieces]) -> tuple[str, ...]:
    """Return the objects that the pieces lie in, at most `OBJECT_KEYS_MAX`; slivers in none."""
    keys: dict[str, None] = {}
    for part in parts:
        for piece in part.pieces:
            if piece.sliver is not None:
                continue
            keys[piece.key] = None
            if len(keys) == OBJECT_KEYS_MAX:
                return tuple(keys)
    return tuple(keys)


def are_kept(parts: Sequence[PointPieces]) -> bool:
    """
    Return whether the pieces are few enough to be kept for a second, and their slivers' bytes.

    Those of thousands of points over years take more memory than an answer of them.
    """
    if sum(len(part.pieces) + len(part.known) for part in parts) > KEPT_PIECES_MAX:
        return False
    held = {
        (piece.key, piece.sliver.offset): len(piece.sliver.data)
        for part in parts
        for piece in part.pieces
        if piece.sliver is not None
    }
    return sum(held.values()) <= KEPT_SLIVERS_BYTES_MAX


def total_text_bytes(parts: Sequence[PointPieces]) -> int:
    """Return the bytes of all pieces' text."""
    return sum(piece.text_bytes for part in parts for piece in part.pieces)
