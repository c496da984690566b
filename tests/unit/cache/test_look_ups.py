"""Look-ups that are believed for a second."""

from __future__ import annotations

import pytest

from building_vitals.cache.look_ups import ANSWERS_MAX, BELIEVED_MS, LookUps


@pytest.mark.parametrize(
    ("age_ms", "is_believed"),
    [
        pytest.param(0, True, id="at once"),
        pytest.param(BELIEVED_MS - 1, True, id="within the second"),
        pytest.param(BELIEVED_MS, False, id="after a second"),
        pytest.param(-1, False, id="by a clock that went back"),
    ],
)
def test_answers_are_believed_for_a_second(age_ms: int, *, is_believed: bool) -> None:
    """No longer, and not before they were found."""
    look_ups = LookUps()
    look_ups.keep("key", "answer", 5_000, look_ups.generation)
    assert ("answer" if is_believed else None) == look_ups.find("key", 5_000 + age_ms)
    assert None is look_ups.find("other", 5_000 + age_ms)


def test_an_answer_from_before_a_removal_is_not_kept() -> None:
    """What the index said before something was removed from it would hide the removal."""
    look_ups = LookUps()
    before = look_ups.generation
    look_ups.keep("early", 1, 0, before)
    look_ups.forget()
    look_ups.keep("late", 2, 0, before)
    assert (None, None) == (look_ups.find("early", 0), look_ups.find("late", 0))
    look_ups.keep("late", 3, 0, look_ups.generation)
    assert 3 == look_ups.find("late", 0)


def test_memory_is_bounded_by_number_and_by_age() -> None:
    """The oldest goes first; an answer that is kept again is a young one."""
    look_ups = LookUps()
    for n in range(ANSWERS_MAX):
        look_ups.keep(n, n, 0, 0)
    look_ups.keep(0, "again", 0, 0)
    look_ups.keep("new", "new", 0, 0)
    assert ("again", None, 2) == tuple(look_ups.find(n, 0) for n in range(3))
    look_ups.keep("later", "later", BELIEVED_MS + 1, 0)
    assert None is look_ups.find("new", 0)
    assert "later" == look_ups.find("later", BELIEVED_MS + 1)
