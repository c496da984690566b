"""The names of points that an isolate remembers."""

from __future__ import annotations

import pytest

from building_vitals.upstream.point_names import (
    NAMES_REMEMBERED_MAX,
    READING_MS_MAX,
    RECHECK_MS,
    PointNames,
)

READ_MS = 1_735_689_600_000


def test_names_are_those_read_last() -> None:
    """By site, with the moment."""
    names = PointNames()
    assert names.get("hq") is None
    names.put("hq", ["a", "b"], READ_MS)
    names.put("hq", ["b", "c"], READ_MS + 1)

    assert (READ_MS + 1, frozenset("bc")) == names.get("hq")
    assert names.get("lab") is None


@pytest.mark.parametrize(
    ("since_ms", "expected"),
    [
        pytest.param(READ_MS - 1, {"x"}, id="read since"),
        pytest.param(READ_MS + RECHECK_MS, {"x"}, id="read a minute before"),
        pytest.param(READ_MS + RECHECK_MS + 1, set(), id="read earlier"),
    ],
)
def test_unknown_points(since_ms: int, expected: set[str]) -> None:
    """A list tells that a point is unknown for a minute: points are added."""
    names = PointNames()
    names.put("hq", ["a", "b"], READ_MS)

    assert expected == names.unknown("hq", ["a", "x", "b"], since_ms)
    assert set() == names.unknown("lab", ["a", "x"], since_ms)


def test_memory_is_bounded() -> None:
    """With too many names it starts again with the last site; to read one again adds nothing."""
    half = [str(number) for number in range(NAMES_REMEMBERED_MAX // 2)]
    names = PointNames()
    for site in ("a", "b", "a", "b", "a"):
        names.put(site, half, READ_MS)
    assert names.get("a") is not None
    assert names.get("b") is not None
    names.put("c", ["one more"], READ_MS)

    assert (None, None) == (names.get("a"), names.get("b"))
    assert (READ_MS, frozenset(["one more"])) == names.get("c")
    names.put("a", half, READ_MS)
    assert names.get("c") is not None


def test_site_of_more_names_than_fit_is_remembered_alone() -> None:
    """The largest sites are those whose lists cost most."""
    names = PointNames()
    names.put("hq", map(str, range(NAMES_REMEMBERED_MAX + 1)), READ_MS)
    assert names.get("hq") is not None
    names.put("lab", ["a"], READ_MS)
    assert names.get("hq") is None


def test_readers_are_known_while_they_live() -> None:
    """Of one site alone; a silent one counts as dead, and its end is not that of its successor."""
    names = PointNames()
    with names.reading("hq", READ_MS):
        assert names.is_being_read("hq", READ_MS)
        assert names.is_being_read("hq", READ_MS + READING_MS_MAX - 1)
        assert not names.is_being_read("lab", READ_MS)
        late_ms = READ_MS + READING_MS_MAX
        assert not names.is_being_read("hq", late_ms)
        with names.reading("hq", late_ms):
            assert names.is_being_read("hq", late_ms)
        assert not names.is_being_read("hq", late_ms)
    slow, successor = names.reading("hq", READ_MS), names.reading("hq", late_ms)
    with slow:
        successor.__enter__()
    assert names.is_being_read("hq", late_ms)
    successor.__exit__(None, None, None)
    assert not names.is_being_read("hq", late_ms)


def test_reader_lives_as_long_as_it_says_so() -> None:
    """Silence counts from the last word; one that was given up says nothing of its successor."""
    names = PointNames()
    late_ms = READ_MS + READING_MS_MAX
    with names.reading("hq", READ_MS) as beat:
        beat(late_ms - 1)
        assert names.is_being_read("hq", late_ms)
        with names.reading("hq", 2 * late_ms):
            beat(3 * late_ms)
            assert not names.is_being_read("hq", 3 * late_ms)
        beat(late_ms)
        assert not names.is_being_read("hq", late_ms)


def test_reader_that_fails_reads_no_longer() -> None:
    """The next one may begin at once."""
    names = PointNames()
    with pytest.raises(KeyError), names.reading("hq", READ_MS):
        raise KeyError
    assert not names.is_being_read("hq", READ_MS)


def test_names_of_a_site_can_be_forgotten() -> None:
    """What is not known is not unknown; the others stay, and the count of all is right."""
    names = PointNames()
    for _ in range(2):
        names.put("hq", (str(n) for n in range(NAMES_REMEMBERED_MAX // 2)), READ_MS)
        names.put("lab", ["a"], READ_MS)
        names.forget("hq")
        names.forget("nobody")
    names.put("hall", (str(n) for n in range(NAMES_REMEMBERED_MAX - 1)), READ_MS)

    assert names.get("hq") is None
    assert set() == names.unknown("hq", ["x"], READ_MS)
    assert (READ_MS, frozenset("a")) == names.get("lab")


def test_intervals_go_with_their_names() -> None:
    """A list that says nothing of them replaces one that did."""
    names = PointNames()
    assert {} == names.intervals_ms("hq")
    names.put("hq", ["a", "b"], READ_MS, {"a": 1000})
    assert {"a": 1000} == names.intervals_ms("hq")
    names.put("hq", ["a", "b"], READ_MS)
    assert {} == names.intervals_ms("hq")
    names.put("hq", ["a", "b"], READ_MS, {"a": 1000})
    names.forget("hq")
    assert {} == names.intervals_ms("hq")
