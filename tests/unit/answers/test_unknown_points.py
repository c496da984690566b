"""Tests of the names that may have been meant by unknown points."""

from __future__ import annotations

import pytest

from building_vitals.answers.pieces import UNKNOWN_POINT, PointPieces
from building_vitals.answers.unknown_points import HINTS_MAX, NAMES_MAX, with_hints
from fakes.api_calls import called, document_of
from fakes.job_world import JobWorld
from fakes.virtual_time import EPOCH_MS, in_virtual_time

COMMA = "points= is divided at commas, point= is not"


def errors(names: list[str], *unknown: str, known: tuple[str, ...] = ()) -> list[str | None]:
    """Return what is said of points."""
    parts = [PointPieces(point, [], UNKNOWN_POINT) for point in unknown]
    parts += [PointPieces(point, []) for point in known]
    return [each.error for each in with_hints(parts, frozenset(names))]


def test_the_nearest_name_is_told() -> None:
    """Of unknown points alone, and only where one is near."""
    assert [
        'unknown point; the nearest is "AHU-1/Supply Temp"',
        UNKNOWN_POINT,
        None,
    ] == errors(["AHU-1/Supply Temp", "b"], "AHU-1/Suply Temp", "nothing like it", known=("b",))


@pytest.mark.parametrize("comma", [",", ", "])
def test_a_name_that_was_divided_at_its_comma_is_told(comma: str) -> None:
    """Both halves name it, and the parameter that would have kept it whole."""
    name = f"Zone{comma}W"
    told = f'unknown point; the nearest is "{name}"; {COMMA}'
    assert [told, told] == errors([name, "Zone"], "Zone", "W")
    assert [f'unknown point; the nearest is "AHU, supply"; {COMMA}'] == errors(
        ["AHU, supply"], "AHU, suply"
    )


def test_few_points_of_short_lists_are_looked_for() -> None:
    """The first ones have hints, the others are unknown all the same; a long list has none."""
    unknown = [f"AHU-{n:02}x" for n in range(HINTS_MAX + 5)]
    names = [f"AHU-{n:02}" for n in range(HINTS_MAX + 5)]
    told = errors(names, *unknown)
    assert [f'unknown point; the nearest is "{name}"' for name in names[:HINTS_MAX]] == told[
        :HINTS_MAX
    ]
    assert [UNKNOWN_POINT] * 5 == told[HINTS_MAX:]
    many = [*names, *map(str, range(NAMES_MAX))]
    assert [UNKNOWN_POINT] == errors(many, unknown[0])


@pytest.mark.parametrize("route", ["cached", "direct"])
def test_answers_name_the_nearest(route: str) -> None:
    """By both routes, from the list that the isolate remembers."""

    @in_virtual_time
    async def named() -> None:
        async with JobWorld() as world:
            world.upstream.strangers = {"Zone Tmp"}
            query = "site=site&points=Zone%20Tmp,Zone%20Temp&start_time=now-2h&route=" + route
            reply = await called(world, "GET /api/timeseries", query)
            data = (await document_of(reply))["data"]
            assert UNKNOWN_POINT == data["Zone Tmp"]["error"]
            world.app.isolate.point_names.put("site", ["Zone Temp"], EPOCH_MS)
            reply = await called(world, "GET /api/timeseries", query)
            data = (await document_of(reply))["data"]
            assert 'unknown point; the nearest is "Zone Temp"' == data["Zone Tmp"]["error"]
            assert data["Zone Temp"]["error"] is None

    named()
