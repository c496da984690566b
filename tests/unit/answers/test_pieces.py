"""Tests of the pieces of answers, and of the entity tags made from them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from building_vitals.answers.pieces import (
    OBJECT_KEYS_MAX,
    PointPieces,
    entity_tag,
    most_samples,
    object_keys,
    total_stored_bytes,
    total_text_bytes,
)
from building_vitals.answers.question import AnswerForm, Question, TimeseriesRequest
from building_vitals.cache.segments import Piece
from building_vitals.ranges import Range

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


def test_sums_over_pieces() -> None:
    """Bytes of all pieces, samples of the largest point, and each object once, up to a limit."""
    assert (90, 180, 6) == (
        total_stored_bytes(PARTS),
        total_text_bytes(PARTS),
        most_samples(PARTS),
    )
    assert ("one", "two") == object_keys(PARTS)
    many = [PointPieces("p", [piece(str(n)) for n in range(OBJECT_KEYS_MAX + 9)])]
    assert OBJECT_KEYS_MAX == len(object_keys(many))
