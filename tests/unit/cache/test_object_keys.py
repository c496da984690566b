"""Keys of objects: nothing collides, nothing escapes."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from building_vitals.cache.object_keys import (
    dataset_object_key,
    job_of,
    result_object_key,
    segment_object_key,
)
from building_vitals.ranges import Range

WANTED = Range(1_735_689_600_000, 1_735_776_000_000)
NASTY = (
    "../../etc",
    "a/b",
    "é ☃",
    "a,b",
    "a",
    "b",
    "",
    "\n",
    "constructor",
    "__proto__",
    "x" * 512,
)


def test_a_dataset_has_one_key() -> None:
    """Order and duplicates of points do not matter."""
    keys = {
        dataset_object_key("site", points, WANTED, "json")
        for points in (["a", "b"], ["b", "a"], ["a", "b", "a"])
    }
    assert 1 == len(keys)


def test_other_datasets_have_other_keys() -> None:
    """Whatever differs, by a millisecond or a comma, makes another key."""
    sets = [(), *((name,) for name in NASTY), *combinations(NASTY, 2)]
    cases = [("site", points, WANTED, "json") for points in sets]
    for site, format in (("site", "csv"), ("sites", "json"), ("site", "")):
        cases.append((site, ("a",), WANTED, format))
    for start, end in ((1, 0), (0, 1), (-1, 0), (0, -1), (43_200_000, 0)):
        time_range = Range(WANTED.start_ms + start, WANTED.end_ms + end)
        cases.append(("site", ("a",), time_range, "json"))
    assert len(cases) == len({dataset_object_key(*case) for case in cases})


def test_parts_do_not_run_into_each_other() -> None:
    """A name's end cannot be taken for the beginning of the next."""
    keys = {
        dataset_object_key("site", points, WANTED, "json")
        for points in (["ab", "c"], ["a", "bc"], ["abc"], ["a,bc"], ["1:a", "2:bc"], ["1:a2:bc"])
    }
    assert 6 == len(keys)


@pytest.mark.parametrize("point", NASTY)
def test_keys_hold_no_text_of_users(point: str) -> None:
    """Only the site stands in a key, the rest is a digest."""
    key = dataset_object_key("s-1.x_Y", [point], WANTED, "json")
    assert re.fullmatch(r"datasets/s-1\.x_Y/[0-9a-f]{64}", key)
    key = segment_object_key("s-1.x_Y", [point], WANTED, fetched_ms=1, nonce="n")
    assert re.fullmatch(r"timeseries/s-1\.x_Y/2025-01-01_2025-01-02/[0-9a-f]{40}\.seg", key)


@pytest.mark.parametrize("site", ["", "..", ".", "a/b", "a b", "é", "x" * 129, "-a", "a\n", "²"])
def test_what_is_no_site_makes_no_key(site: str) -> None:
    """A site that could leave its folder is refused."""
    with pytest.raises(ValueError, match="not a site"):
        dataset_object_key(site, ["a"], WANTED, "json")


def test_no_object_takes_the_key_of_another() -> None:
    """Segments fetched twice, or at the same moment, have keys of their own."""
    cases = [(1, "n"), (2, "n"), (1, "m")]
    keys = {
        segment_object_key("site", ["a"], WANTED, fetched_ms=fetched_ms, nonce=nonce)
        for fetched_ms, nonce in cases
    }
    assert 3 == len(keys)


def test_a_result_tells_whose_it_is() -> None:
    """Its key names the job."""
    assert "job_7" == job_of(result_object_key("hq", "job_7", "nonce"))
