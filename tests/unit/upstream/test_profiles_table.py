"""The table of profiles: the real one and its stand-in obey the same rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles_table import UpstreamProfiles
from fakes.database import FakeDatabase
from fakes.profiles import RememberedProfiles, Rows

Tables = Callable[[str], UpstreamProfiles]
PROFILE = SiteProfile(points=3, samples_per_day=0.5, is_filter_heeded=False, is_same=True)


@pytest.fixture(params=["table", "stand-in"])
def tables(request: pytest.FixtureRequest) -> Iterator[Tables]:
    """Give what makes the tables of upstreams over one store."""
    with FakeDatabase() as database:
        rows: Rows = {}

        def table_of(upstream: str) -> UpstreamProfiles:
            if request.param == "table":
                return UpstreamProfiles(database, upstream)
            return RememberedProfiles(upstream, rows)

        yield table_of


async def test_what_is_kept_is_found(tables: Tables) -> None:
    """As it was, by site; the last one counts; nothing is found of other sites."""
    table = tables("https://u")
    assert await table.find("hq") is None
    await table.keep("hq", SiteProfile(points=1), 1)
    await table.keep("hq", PROFILE, 2)

    assert PROFILE == await tables("https://u").find("hq")
    assert await table.find("lab") is None


async def test_upstreams_have_profiles_of_their_own(tables: Tables) -> None:
    """The same site of another upstream is another one."""
    one, other = tables("https://one"), tables("https://other")
    await one.keep("hq", PROFILE, 1)
    assert await other.find("hq") is None
    assert await other.claim("hq", 5, 10)
    assert await one.claim("hq", 5, 4)
    await other.keep("lab", PROFILE, 2)

    assert [("hq", PROFILE)] == await one.list(10)


async def test_list_begins_with_what_changed_last(tables: Tables) -> None:
    """Then by name; no more than asked for."""
    table = tables("https://u")
    for site, now_ms in (("b", 1), ("c", 3), ("a", 1), ("b", 2)):
        await table.keep(site, SiteProfile(points=now_ms), now_ms)

    assert [
        (site, SiteProfile(points=count)) for site, count in (("c", 3), ("b", 2), ("a", 1))
    ] == (await table.list(10))
    assert ["c", "b"] == [site for site, _ in await table.list(2)]
    await table.keep("d", SiteProfile(points=2), 2)
    assert ["c", "b", "d", "a"] == [site for site, _ in await table.list(10)]


async def test_one_of_several_may_compare(tables: Tables) -> None:
    """The first who claims; another one when the time is over, kept profile or not."""
    table = tables("https://u")
    assert [True, False, False, True, False] == [
        await table.claim("hq", now_ms, 60) for now_ms in (100, 100, 159, 160, 219)
    ]
    assert SiteProfile() == await table.find("hq")


async def test_claims_and_profiles_leave_each_other_alone(tables: Tables) -> None:
    """To keep a profile ends no claim; to claim changes no profile, nor its place in the list."""
    table = tables("https://u")
    await table.keep("hq", PROFILE, 1_000)
    await table.keep("lab", PROFILE, 2_000)
    assert await table.claim("hq", 3_000, 60)
    await table.keep("lab", SiteProfile(), 4_000)
    assert PROFILE == await table.find("hq")
    assert ["lab", "hq"] == [site for site, _ in await table.list(10)]
    await table.keep("hq", SiteProfile(points=7), 3_010)
    assert not await table.claim("hq", 3_020, 60)
