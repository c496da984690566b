"""The pieces that an answer is made of: sums, objects, and the entity tags made from them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from builders import Stored, samples, span, stored
from building_vitals.answers.pieces import (
    KEPT_PIECES_MAX,
    KEPT_SLIVERS_BYTES_MAX,
    OBJECT_KEYS_MAX,
    UNKNOWN_POINT,
    PointPieces,
    are_kept,
    entity_tag,
    object_keys,
    resolve,
    total_stored_bytes,
    total_text_bytes,
)
from building_vitals.answers.question import AnswerForm, Question, TimeseriesRequest
from building_vitals.cache.coverage import Cover, cover
from building_vitals.cache.object_keys import ROWS
from building_vitals.cache.segments import DirectoryMissing, Piece, pieces
from building_vitals.ranges import Range

FIRST = stored("0-50", samples("10:1 20:2 40:3"), sizes=[2], key="first")
LAST = stored("50-100", samples("60:4"), key="last")


FORM = AnswerForm(
    site="hq", time_range=Range(0, 10), max_points=None, format="json", gzip=True, route="queued"
)


def piece(key: str, **changes: Any) -> Piece:
    """Return a piece of 3 samples."""
    whole = Piece(key, "", 0, 30, 60, 3, 0, 0)
    return msgspec.structs.replace(whole, **changes)


PARTS = [
    PointPieces("a", [piece("one"), piece("two")]),
    PointPieces("b", [piece("two", offset=30)]),
]


def test_an_entity_tag_is_weak_and_stays() -> None:
    """Results of jobs keep theirs in the database, so that the recipe must not change by itself."""
    assert 'W/"82d2927bbdb448e754c6b5dc9306a6dc"' == entity_tag(PARTS, FORM)


@pytest.mark.parametrize(
    "changes",
    [
        {"site": "lab"},
        {"time_range": Range(0, 11)},
        {"max_points": 5},
        {"format": "csv"},
        {"gzip": False},
        {"route": "cached"},
    ],
    ids=lambda changes: str(*changes),
)
def test_another_form_is_another_entity_tag(changes: dict[str, Any]) -> None:
    """Every fact counts."""
    assert entity_tag(PARTS, FORM) != entity_tag(PARTS, msgspec.structs.replace(FORM, **changes))


@pytest.mark.parametrize(
    "changes",
    [{"key": "x"}, {"offset": 1}, {"stored_bytes": 31}, {"time_range": Range(0, 5)}],
    ids=lambda changes: str(*changes),
)
def test_other_samples_are_another_entity_tag(changes: dict[str, Any]) -> None:
    """So does the place of every piece, and the point it belongs to."""
    other = [PARTS[0], PointPieces("b", [piece(**{"key": "two", "offset": 30, **changes})])]
    assert entity_tag(PARTS, FORM) != entity_tag(other, FORM)
    renamed = [PARTS[0], PointPieces("c", PARTS[1].pieces)]
    assert entity_tag(PARTS, FORM) != entity_tag(renamed, FORM)


def test_a_question_has_the_form_of_its_answer() -> None:
    """A question and the result of a job come to the same facts."""
    question = Question(
        request=TimeseriesRequest("hq", ("a", "b"), Range(0, 10)),
        route="queued",
        estimated=0,
        request_id="id",
        format="json",
        gzip=True,
        started_ms=0,
    )
    assert question.form == FORM
    assert {question.look_up_key: 1} == {(("a", "b"), FORM): 1}


def covered(*held: Stored, text: str = "0-100") -> Cover:
    """Return a point's cover of a range."""
    return cover("p", [each.segment for each in held], span(text))


def test_pieces_follow_the_order_of_time() -> None:
    """Each point has the pieces of its segments, cut to the range; one without any is there too."""
    [found, empty] = resolve([covered(LAST, FIRST), Cover("q", [], [])])
    assert ("p", ["first", "last"]) == (found.point, [piece.key for piece in found.pieces])
    assert PointPieces("q", []) == empty
    [cut] = resolve([covered(FIRST, LAST, text="15-55")])
    assert ["first", "first"] == [piece.key for piece in cut.pieces][:2]
    assert {"first"} == {piece.key for piece in cut.pieces}


def test_a_point_that_the_site_does_not_have_says_so() -> None:
    """It has no pieces and an error; a point without samples has none."""
    [unknown, empty] = resolve([Cover("p", [], [], is_unknown=True), Cover("q", [], [])])
    assert PointPieces("p", [], UNKNOWN_POINT) == unknown
    assert PointPieces("q", [], None) == empty


def test_an_unknown_point_is_another_entity_tag() -> None:
    """Once the site has the point, an answer without samples is another one."""
    tags = {
        entity_tag([PointPieces("a", [], error), PointPieces("b", [], other)], FORM)
        for error, other in ((None, None), (UNKNOWN_POINT, None), (None, UNKNOWN_POINT))
    }
    assert 3 == len(tags)


def test_a_cut_needs_the_directory_of_frames() -> None:
    """A segment that was looked up without it can be given whole, and not cut."""
    bare = msgspec.structs.replace(FIRST.segment, frames=None)
    held = [Stored(bare, FIRST.blob)]
    [whole] = resolve([covered(*held, text="0-50")])
    assert [3] == [piece.count for piece in whole.pieces]
    with pytest.raises(DirectoryMissing):
        resolve([covered(*held, text="0-15")])


def test_sums_are_those_of_all_pieces() -> None:
    """Bytes add up over all points."""
    parts = resolve([covered(FIRST, LAST), covered(LAST, text="50-100")])
    text = len("[10,1],[20,2],[40,3]") + 2 * len("[60,4]")
    assert text == total_text_bytes(parts)
    stored_bytes = FIRST.segment.stored_bytes + 2 * LAST.segment.stored_bytes
    assert stored_bytes == total_stored_bytes(parts)


def test_objects_are_named_once_and_at_most_a_hundred() -> None:
    """In the order of their first use; what is more is left out."""
    parts = resolve([covered(FIRST, LAST), covered(FIRST, text="0-50")])
    assert ("first", "last") == object_keys(parts)
    many = [stored(f"{n}-{n + 1}", samples(f"{n}:1"), key=f"k{n:03}") for n in range(150)]
    found = object_keys(resolve([covered(*many, text="0-150")]))
    assert tuple(f"k{n:03}" for n in range(OBJECT_KEYS_MAX)) == found


def test_the_pieces_of_few_points_are_kept() -> None:
    """Those of thousands over years would take the memory of the isolate; so would slivers."""
    one = PointPieces("p", [piece("one")])
    assert are_kept([one] * KEPT_PIECES_MAX)
    assert not are_kept([one] * (KEPT_PIECES_MAX + 1))
    held = stored("0-10", samples("5:1"), key=f"{ROWS}k").segment
    large = msgspec.structs.replace(held, data=b"1" * (KEPT_SLIVERS_BYTES_MAX + 1))
    assert not are_kept([PointPieces("p", pieces(large, large.range))])
