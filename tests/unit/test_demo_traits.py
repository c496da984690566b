"""Each trait of the demo upstream over real HTTP, as the real service has it and kinder."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any
from urllib.parse import quote

import pytest

from demo.cursors import decode_cursor
from demo.instants import MINUTE_MS, parse_ms
from demo.items import point_item, site_item
from demo.protocol import Protocol, Site
from demo.sources import GridSource, ListedSource, Position
from demo.traits import FAITHFUL, KIND, Traits
from demo_upstream import added_sites, arguments, chosen_traits, delayed
from fakes.demo_calls import BEARER, fetch, served
from fakes.upstream_series import GeneratedSeries
from fakes.upstream_warts import following_cursor

T0_MS = parse_ms("2025-01-01")
NAMES = [f"busy/point {number:02d}" for number in range(30)]
ODD_NAME = "busy/Gebäude 4: ~ Süd/50%"
PAGES = "/api/sites/busy/timeseries/paginated"
HOUR: dict[str, Any] = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-01T01:00:00Z"}
TRAITS = [each.name for each in fields(Traits)]


def sites() -> dict[str, Site]:
    """Return a site of 30 points a minute apart, one of odd times, and an archived one."""
    busy = site_item(1, "busy", client="c")
    items = [point_item(n, name, busy, interval_s=60) for n, name in enumerate(NAMES)]
    series = [GeneratedSeries(name, MINUTE_MS, 2) for name in NAMES]
    odd = site_item(2, "odd", client="c")
    odd_items = [
        point_item(1, ODD_NAME, odd, interval_s=60),
        point_item(2, "odd/silent", odd, interval_s=60),
    ]
    samples = {ODD_NAME: [(T0_MS, '"1"'), (T0_MS + 55, '"2"'), (T0_MS + 3_600_000, '"3"')]}
    old = site_item(3, "old", client="c", is_archived=True)
    idle = site_item(4, "idle", client="c")
    idle_items = [point_item(1, "idle/a", idle, interval_s=60, is_collected=False)]
    return {
        "busy": Site(busy, GridSource(items, series, first_ms=T0_MS)),
        "odd": Site(odd, ListedSource(odd_items, samples)),
        "old": Site(old, ListedSource([], {})),
        "idle": Site(idle, ListedSource(idle_items, {})),
    }


@contextmanager
def upstream(base: Traits = FAITHFUL, **changed: str) -> Iterator[http.client.HTTPConnection]:
    """Serve the sites with some traits changed."""
    protocol = Protocol(sites(), token=BEARER, traits=replace(base, **changed))
    with served(protocol.reply) as connection:
        yield connection


def post(
    connection: http.client.HTTPConnection, names: list[str], **params: Any
) -> tuple[int, Any, dict[str, str]]:
    """Ask for the samples of points by a body."""
    body = json.dumps({"points": [{"name": name} for name in names]})
    return fetch(connection, "/api/points/get_timeseries", "POST", body, **{**HOUR, **params})


def walk(
    connection: http.client.HTTPConnection,
    next_cursor: Callable[[dict[str, Any], str | None], str],
    **params: Any,
) -> list[dict[str, Any]]:
    """Return up to 40 pages, each asked for with the cursor that is chosen from the one before."""
    documents: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(documents) < 40:
        more = {"cursor": cursor} if cursor else {}
        _, document, _ = fetch(connection, PAGES, **params, **more, raw_data="true")
        documents.append(document)
        if not document["has_more"]:
            break
        cursor = next_cursor(document, cursor)
    return documents


def given(document: dict[str, Any], _cursor: str | None) -> str:
    """Choose the cursor that the service gives."""
    return str(document["next_cursor"])


def repaired(document: dict[str, Any], cursor: str | None) -> str:
    """Choose the cursor that the page itself tells."""
    return following_cursor(document["point_samples"], cursor)


def keys(documents: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return time and name of the samples of pages."""
    return [(each["time"], each["name"]) for one in documents for each in one["point_samples"]]


THREE: dict[str, Any] = {"start_time": HOUR["start_time"], "end_time": "2025-01-01T00:02:00Z"}


def test_defective_cursor_stalls_within_a_moment() -> None:
    """A page within one moment leads to itself, for ever; what follows never comes."""
    with upstream() as connection:
        documents = walk(connection, given, **THREE, page_size=10)

    assert len(documents) == 40
    assert len({one["next_cursor"] for one in documents}) == 1
    assert documents[0]["point_samples"] != documents[1]["point_samples"]
    assert all(one == documents[1] for one in documents[1:])
    assert decode_cursor(documents[0]["next_cursor"]) == Position(T0_MS, 10)


@pytest.mark.parametrize("size", [3, 10, 50])
@pytest.mark.parametrize("world", [FAITHFUL, KIND], ids=["faithful", "kind"])
def test_repaired_cursor_is_whole(world: Traits, size: int) -> None:
    """Whoever counts the offset loses nothing and gets nothing twice, in either world."""
    with upstream(world, ends="inclusive") as connection:
        documents = walk(connection, repaired, **THREE, page_size=size)

    found = keys(documents)
    assert len(documents) == -(-90 // size)
    assert len(found) == 90
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    ("kind", "size"), [("perfect", 10), ("perfect", 3), ("opaque", 10), ("defective", 50)]
)
def test_cursors_that_are_right(kind: str, size: int) -> None:
    """A right cursor is whole; pages larger than a moment make the defective one right."""
    with upstream(cursor=kind) as connection:
        documents = walk(connection, given, **THREE, page_size=size)

    assert len(keys(documents)) == len(set(keys(documents))) == 90


@pytest.mark.parametrize(("kind", "size"), [("perfect", 10), ("defective", 50)])
def test_right_cursors_equal_the_repaired(kind: str, size: int) -> None:
    """Where the service's own cursor is right, the repaired one is the same text."""
    pairs: list[tuple[str, str]] = []

    def both(document: dict[str, Any], cursor: str | None) -> str:
        pairs.append((given(document, cursor), repaired(document, cursor)))
        return pairs[-1][0]

    with upstream(cursor=kind) as connection:
        walk(connection, both, **THREE, page_size=size)

    assert pairs
    assert [one for one, _ in pairs] == [other for _, other in pairs]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ("naive", ["2025-01-01T00:00:00", "2025-01-01T00:00:00.055000"]),
        ("z", ["2025-01-01T00:00:00Z", "2025-01-01T00:00:00.055Z"]),
    ],
)
def test_times(times: str, expected: list[str]) -> None:
    """Pages and calls by point write times alike; odd names go through a path."""
    asked = {"start_time": HOUR["start_time"], "end_time": "2025-01-01T00:30:00Z"}
    point = quote(ODD_NAME, safe="")
    with upstream(times=times) as connection:
        answers = [
            fetch(connection, "/api/sites/odd/timeseries/paginated", raw_data="true", **asked)[1],
            fetch(connection, f"/api/points/{point}/timeseries", **asked)[1],
            post(connection, [ODD_NAME], **asked)[1],
        ]

    for answer in answers:
        assert [sample["time"] for sample in answer["point_samples"]] == expected


@pytest.mark.parametrize(("value", "names"), [("ignored", NAMES), ("heeded", NAMES[3:5])])
def test_filter(value: str, names: list[str]) -> None:
    """A filter gives the whole site, or its points."""
    with upstream(filter=value) as connection:
        _, document, _ = fetch(connection, PAGES, **HOUR, point_names=",".join(NAMES[3:5]))

    assert sorted({sample["name"] for sample in document["point_samples"]}) == names


@pytest.mark.parametrize(
    ("value", "statuses"), [("strict", [200, 308, 200, 404]), ("loose", [200] * 4)]
)
def test_slashes(value: str, statuses: list[int]) -> None:
    """The list of sites alone has a slash at its end, and a redirect leads to it."""
    paths = ["/api/sites/", "/api/sites?page=1&per_page=2", "/api/sites/busy", "/api/sites/busy/"]
    with upstream(slashes=value) as connection:
        answers = [fetch(connection, path) for path in paths]
        host = f"{connection.host}:{connection.port}"

    assert [status for status, _, _ in answers] == statuses
    location = f"http://{host}/api/sites/?page=1&per_page=2" if value == "strict" else None
    assert answers[1][2].get("Location") == location


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("403", [(403, "name"), (403, "has_more"), (403, "point_samples"), (403, "temp")]),
        ("404", [(404, "message")] * 4),
    ],
)
def test_unknown_site(value: str, expected: list[tuple[int, str]]) -> None:
    """The real service forbids what it does not know, and answers with nothing but nulls."""
    paths = ["", "/timeseries/paginated", "/timeseries", "/weather"]
    with upstream(unknown_site=value) as connection:
        answers = [fetch(connection, f"/api/sites/none{path}", **HOUR) for path in paths]
        listing, _, _ = fetch(connection, "/api/sites/none/points")

    assert listing == 404
    assert [status for status, _, _ in answers] == [status for status, _ in expected]
    for (_, document, _), (status, key) in zip(answers, expected, strict=True):
        assert key in document
        assert all(each is None for each in document.values()) is (status == 403)


@pytest.mark.parametrize("value", ["500", "401"])
def test_wrong_token(value: str) -> None:
    """A wrong token is 500 for everything, or 401; a missing one is 401."""
    paths = ["/api/sites/", "/api/sites/busy", "/api/elsewhere"]
    with upstream(wrong_token=value) as connection:
        wrong = [fetch(connection, path, bearer="wrong") for path in paths]
        missing = [fetch(connection, path, bearer=None)[0] for path in paths]

    assert [status for status, _, _ in wrong] == [int(value)] * 3
    told = {document["message"] for _, document, _ in wrong}
    assert (told == {"An unhandled exception occurred."}) is (value == "500")
    assert missing == [401] * 3


@pytest.mark.parametrize("value", ["page", "404"])
def test_empty_period(value: str) -> None:
    """A period without samples is an empty page without a cursor, or 404."""
    past = {"start_time": "2020-01-01", "end_time": "2020-01-02"}
    with upstream(empty=value) as connection:
        answers = [
            fetch(connection, PAGES, **past),
            fetch(connection, "/api/points/odd%2Fsilent/timeseries", **past),
            post(connection, ["nobody", "odd/silent"], **past),
        ]

    if value == "404":
        assert [status for status, _, _ in answers] == [404] * 3
        return
    assert [status for status, _, _ in answers] == [200] * 3
    page: dict[str, Any] = {"point_samples": [], "next_cursor": None, "has_more": False}
    assert [document for _, document, _ in answers] == [page, *[{"point_samples": []}] * 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("inclusive", ["1", "2", "3"]),
        ("half-open", ["1", "2"]),
        ("start-exclusive", ["2", "3"]),
    ],
)
def test_ends(value: str, expected: list[str]) -> None:
    """Which samples at the ends of a range belong to it, on pages and by point."""
    with upstream(ends=value) as connection:
        answers = [
            fetch(connection, "/api/sites/odd/timeseries/paginated", **HOUR, raw_data="true")[1],
            post(connection, [ODD_NAME])[1],
        ]

    for answer in answers:
        assert [sample["value"] for sample in answer["point_samples"]] == expected


@pytest.mark.parametrize(
    ("value", "default", "allowed", "refused"),
    [("listed", 10, (2, 30, 100_000), (1, 3, 200)), ("any", 100, (1, 3, 5000), (0, 5001))],
)
def test_per_page(
    value: str, default: int, allowed: tuple[int, ...], refused: tuple[int, ...]
) -> None:
    """Lists are cut into pages of the sizes that are taken."""
    with upstream(per_page=value) as connection:
        path = "/api/sites/busy/points"
        assert fetch(connection, path)[1]["per_page"] == default
        for size in allowed:
            assert len(fetch(connection, path, per_page=size)[1]["items"]) == min(size, 30)
        answers = [fetch(connection, path, per_page=size) for size in refused]

    assert [status for status, _, _ in answers] == [400] * len(refused)
    assert all(
        str(size) in answer[1]["message"] for size, answer in zip(refused, answers, strict=True)
    )


@pytest.mark.parametrize(("value", "status"), [("100", 400), ("any", 200)])
def test_names_of_one_call(value: str, status: int) -> None:
    """A hundred names are taken, more may be refused; unknown ones give nothing."""
    names = [*NAMES, *(f"nobody {number}" for number in range(71))]
    with upstream(names_per_call=value) as connection:
        some, answer, _ = post(connection, names[:100])
        all_of_them, _, _ = post(connection, names)

    assert (some, all_of_them) == (200, status)
    assert {sample["name"] for sample in answer["point_samples"]} == set(NAMES)


@pytest.mark.parametrize(
    ("value", "longest"), [("4094", 4094 - len("GET  HTTP/1.1")), ("8000", 8000)]
)
def test_request_line(value: str, longest: int) -> None:
    """An address of the greatest length is answered, one character more is 414."""
    start = "/api/sites/?x="
    with upstream(request_line=value) as connection:
        fits, _, _ = fetch(connection, start + "y" * (longest - len(start)))
        exceeds, _, headers = fetch(connection, start + "y" * (longest + 1 - len(start)))

    assert (fits, exceeds) == (200, 414)
    is_html = headers["Content-Type"] == "text/html"
    assert is_html is (value == "4094")


@pytest.mark.parametrize(("value", "count"), [("raw", 61), ("5min", 13)])
def test_point_calls(value: str, count: int) -> None:
    """Calls without pages give what raw pages give, or buckets; raw_data changes nothing."""
    with upstream(point_calls=value) as connection:
        raw, buckets = (
            fetch(connection, PAGES, **HOUR, raw_data=each)[1]["point_samples"]
            for each in ("true", "false")
        )
        whole = fetch(connection, "/api/sites/busy/timeseries", **HOUR)[1]["point_samples"]
        batch = post(connection, NAMES, raw_data="maybe")[1]["point_samples"]

    assert whole == batch == (raw if value == "raw" else buckets)
    assert len(batch) == count * 30


@pytest.mark.parametrize("world", [FAITHFUL, KIND], ids=["faithful", "kind"])
def test_lists_of_sites(world: Traits) -> None:
    """Archived sites are left out, and on demand those that collect nothing."""
    listed = []
    with upstream(world) as connection:
        for params in ({}, {"show_archived": "True"}, {"collect_enabled": "true"}):
            _, document, _ = fetch(connection, "/api/sites/", **params)
            listed.append([item["name"] for item in document["items"]])
        status, _, _ = fetch(connection, "/api/sites/", show_archived="perhaps")

    assert listed == [["busy", "odd", "idle"], ["busy", "odd", "old", "idle"], ["busy", "odd"]]
    assert status == 400


def test_traits_have_known_values_only() -> None:
    """A value that a trait does not have is refused, and told with those it has."""
    with pytest.raises(ValueError, match="times cannot be 'local'; one of naive, z"):
        Traits(times="local")


def test_options_choose_traits() -> None:
    """Without options all is faithful; --kind changes all, other options go before it."""
    assert chosen_traits(arguments([])) == FAITHFUL
    assert chosen_traits(arguments(["--kind"])) == KIND
    chosen = chosen_traits(arguments(["--kind", "--filter", "ignored", "--unknown-site", "403"]))
    assert chosen == replace(KIND, filter="ignored", unknown_site="403")
    assert chosen_traits(arguments(["--point-calls=5min"])) == replace(FAITHFUL, point_calls="5min")


def test_added_sites() -> None:
    """Sites are added by name, with a number of points and an interval."""
    first, second = added_sites(["pier-9=12", "quay=7:30"])

    assert (first.name, first.point_count, first.zone_s) == ("pier-9", 12, 300)
    assert (second.name, second.point_count, second.meter_s) == ("quay", 7, 30)
    assert first.number != second.number


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["pier"], "NAME=POINTS"),
        (["pier=many"], "NAME=POINTS"),
        (["pier=0"], "points must be from 1"),
        (["pier=5:7"], "interval must divide"),
        (["pier=5:0"], "interval must divide"),
        (["mill-works=5"], "name is taken"),
        (["pier=5", "pier=6"], "name is taken"),
        (["meters=5"], "name is taken"),
    ],
)
def test_added_sites_that_make_no_sense(texts: list[str], reason: str) -> None:
    """What cannot be made is told."""
    with pytest.raises(ValueError, match=reason):
        added_sites(texts)


def test_delays_leave_answers_alone() -> None:
    """A late answer is the same answer."""
    protocol = Protocol(sites(), token=BEARER)
    with served(protocol.reply) as prompt, served(delayed(protocol.reply, 1, 1)) as late:
        assert fetch(prompt, PAGES, **HOUR)[1] == fetch(late, PAGES, **HOUR)[1]


def test_every_trait_is_tested_here() -> None:
    """A trait that no test names cannot be relied on."""
    tested = {
        "filter", "cursor", "times", "slashes", "unknown_site", "wrong_token", "empty", "ends",
        "per_page", "names_per_call", "request_line", "point_calls",
    }  # fmt: skip
    elsewhere = {"values"}  # tests/unit/test_demo_upstream.py

    assert set(TRAITS) == tested | elsewhere
