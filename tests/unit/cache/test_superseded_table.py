"""Segments give way to newer ones that hold all of theirs, and to no others."""

from __future__ import annotations

import random

import pytest

from builders import Samples
from building_vitals.cache.coverage import superseded
from building_vitals.cache.index_table import SegmentIndex
from building_vitals.cache.segments import Segment, segment_of
from building_vitals.cache.superseded_table import replace_statements, supersede_statements
from building_vitals.ranges import Range
from fakes.database import FakeDatabase

LIFE_MS = 10**9


def fetched(
    start_ms: int, end_ms: int, at_ms: int, *, point: str = "a", is_by_point: bool = False
) -> Segment:
    """Return a segment with a sample, fetched at an instant."""
    return segment_of(
        point,
        Range(start_ms, end_ms),
        Samples([(start_ms, "1")]).series(),
        fetched_ms=at_ms,
        key=f"{point}{start_ms}-{end_ms}@{at_ms}",
        offset=0,
        is_by_point=is_by_point,
    )


async def kept(*stored: Segment | list[Segment], site: str = "hq") -> list[tuple[int, int, int]]:
    """Return start, end and instant of the segments that are left when these have been stored."""
    with FakeDatabase() as database:
        for each in stored:
            made = [each] if isinstance(each, Segment) else each
            expires_ms = [LIFE_MS] * len(made)
            await database.batch(
                SegmentIndex.insert_statements(site, made, expires_ms, [], now_ms=1)
            )
        rows = database.look("SELECT * FROM cache_segments ORDER BY fetched_ms, start_ms")
        return [(row["start_ms"], row["end_ms"], row["fetched_ms"]) for row in rows]


OLD = fetched(0, 100, 1000)


@pytest.mark.parametrize(
    ("newer", "is_gone"),
    [
        pytest.param([fetched(0, 100, 2000)], True, id="one of the same range"),
        pytest.param([fetched(-5, 105, 2000)], True, id="one around it"),
        pytest.param([fetched(0, 60, 2000), fetched(60, 100, 3000)], True, id="two"),
        pytest.param([fetched(60, 100, 2000), fetched(0, 60, 3000)], True, id="the other way"),
        pytest.param([fetched(-9, 40, 2000), fetched(30, 70, 2500), fetched(70, 199, 3000)], True,
                     id="three that overlap"),
        pytest.param([[fetched(0, 60, 2000), fetched(60, 100, 2000)]], True, id="of one fetch"),
        pytest.param([fetched(0, 59, 2000), fetched(60, 100, 3000)], False, id="a gap between"),
        pytest.param([fetched(1, 60, 2000), fetched(60, 100, 3000)], False, id="a gap before"),
        pytest.param([fetched(0, 60, 2000), fetched(60, 99, 3000)], False, id="a gap behind"),
        pytest.param([fetched(0, 60, 2000), fetched(60, 100, 999)], False, id="one is older"),
        pytest.param([fetched(0, 60, 2000), fetched(60, 100, 3000, point="b")], False,
                     id="one of another point"),
        pytest.param([fetched(0, 60, 2000), fetched(60, 100, 3000, is_by_point=True)], False,
                     id="one of another kind"),
    ],
)  # fmt: skip
async def test_what_newer_copies_hold_together_goes(
    newer: list[Segment | list[Segment]], is_gone: bool
) -> None:
    """Every instant must be held by one that was fetched later, of the same kind."""
    assert is_gone == ((0, 100, 1000) not in await kept(OLD, *newer))


async def test_another_site_s_segments_stay() -> None:
    """However much the newer ones of a site hold."""
    with FakeDatabase() as database:
        for site, made in (
            ("one", OLD),
            ("two", fetched(0, 60, 2000)),
            ("two", fetched(60, 100, 3000)),
        ):
            await database.batch(
                SegmentIndex.insert_statements(site, [made], [LIFE_MS], [], now_ms=1)
            )
        assert 3 == len(database.look("SELECT 1 FROM cache_segments"))


@pytest.mark.parametrize("seed", range(40))
async def test_only_what_an_answer_can_show_is_left(seed: int) -> None:
    """Whatever is stored in whatever order: none that is useless stays, and none else goes."""
    chance = random.Random(seed)
    instants = chance.sample(range(1, 100), 14)
    if seed % 2:
        instants.sort()
    stored = []
    for at_ms in instants:
        start_ms = chance.randrange(20)
        stored.append(fetched(start_ms, start_ms + chance.randrange(1, 8), at_ms))
    left = await kept(*stored)
    useless = {each.key for each in superseded(stored)}
    wanted = {
        (each.start_ms, each.end_ms, each.fetched_ms) for each in stored if each.key not in useless
    }
    # One that is stored late beneath newer ones may stay: nothing of it is shown.
    assert wanted <= set(left)
    if seed % 2:
        assert wanted == set(left)


async def test_nothing_asks_for_nothing() -> None:
    """Where nothing is stored there is no statement."""
    assert [] == replace_statements("hq", []) == supersede_statements("hq", [])


@pytest.mark.parametrize(
    ("mark", "is_kept"),
    [
        pytest.param(("hq", "a", 50, 60, 2000), True, id="of the new one"),
        pytest.param(("hq", "", 50, 60, 2000), True, id="of the site"),
        pytest.param(("hq", "a", 50, 60, 1999), False, id="from before its fetch"),
        pytest.param(("hq", "a", 100, 160, 2000), False, id="beside the old one"),
        pytest.param(("hq", "b", 50, 60, 2000), False, id="of another point"),
        pytest.param(("other", "a", 50, 60, 2000), False, id="of another site"),
    ],
)
async def test_what_a_mark_cuts_out_of_a_new_one_takes_no_place(
    mark: tuple[str, str, int, int, int],
    is_kept: bool,
) -> None:
    """Or there would be nothing left."""
    with FakeDatabase() as database:
        old, new = fetched(0, 100, 1000), fetched(0, 200, 2000)
        await database.batch(SegmentIndex.insert_statements("hq", [old], [LIFE_MS], [], now_ms=1))
        database.look("INSERT INTO cache_purges VALUES (?1, ?2, ?3, ?4, ?5)", *mark)
        await database.batch(replace_statements("hq", [new]))
        assert is_kept == bool(database.look("SELECT 1 FROM cache_segments"))
