"""Tests of the name that somebody may have meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from building_vitals import nearest
from building_vitals.nearest import COMPARED_MAX, SIMILAR_MAX, KnownNames, changes

POINTS = [
    f"maple-office/10.1.{floor}.2-{n}/VAV {floor}-{n:03}/Zone Air Temperature, Wall Sensor"
    for floor in range(10)
    for n in range(1000)
]


def plain_changes(one: str, other: str) -> int:
    """Return the changes between two texts, by the whole table."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        now = [row]
        for at, yours in enumerate(other, 1):
            now.append(min(before[at - 1] + (letter != yours), before[at] + 1, now[-1] + 1))
        before = now
    return before[-1]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12), st.integers(0, 14))
def test_changes_are_counted_up_to_the_most(one: str, other: str, most: int) -> None:
    """Within the bound the number is right, beyond it is one more."""
    assert min(plain_changes(one, other), most + 1) == changes(one, other, most)


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("Zone Tmep", ["Zone Temp", "Zone Humidity"], "Zone Temp"),
        ("zone temp", ["Zone Temp", "Zone Temp 2"], "Zone Temp"),
        ("AHU-12/Supply", ["AHU-1/Supply", "AHU-21/Return", "AHU-12/Supply Temp"], "AHU-1/Supply"),
        ("Outdoor Air", ["site/1/Outdoor Air Temperature", "x"], "site/1/Outdoor Air Temperature"),
        ("a", ["b", "cd"], "b"),
        ("nothing like it", ["Zone Temp", ""], None),
        ("x" * 512, ["x" * 511 + "y", "y" * 512], "x" * 511 + "y"),
        ("", ["Zone Temp"], None),
        ("p", [], None),
    ],
)
def test_the_nearest_name(name: str, known: list[str], expected: str | None) -> None:
    """A few letters, another case or a part of a name are near; anything else is not."""
    assert expected == KnownNames(known).nearest(name)


@pytest.mark.parametrize("place", [0, 1234, 9999])
def test_the_nearest_of_ten_thousand_that_are_alike(place: int) -> None:
    """The one that differs in a letter is found among thousands that differ in two."""
    name = POINTS[place].replace("Zone", "Zome")
    assert POINTS[place] == KnownNames(POINTS).nearest(name)


def test_few_names_are_looked_at_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are known, and however alike they are."""
    looked: list[str] = []
    compared: list[str] = []

    def ends(_: str, other: str) -> int:
        looked.append(other)
        return len(looked)

    def count(_: str, other: str, most: int) -> int:
        compared.append(other)
        return most

    monkeypatch.setattr(nearest, "_ends", ends)
    monkeypatch.setattr(nearest, "changes", count)
    KnownNames(POINTS).nearest(POINTS[7] + "x")
    assert (SIMILAR_MAX, COMPARED_MAX) == (len(looked), len(compared))
