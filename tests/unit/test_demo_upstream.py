"""The demo upstream over real HTTP: its calls, its data, its meter files, its command."""

import csv
import gzip
import http.client
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from demo.building import CounterSeries
from demo.instants import DAY_MS, HOUR_MS, iso_text, parse_ms
from demo.messages import Reply, Request
from demo.meters import MeterFileError, meter_site, read_meter
from demo.protocol import Protocol, Site
from demo.server import RateLimit, throttled
from demo.sites import SITES, demo_site
from demo.traits import WORLDS, Traits
from fakes.demo_calls import BEARER, fetch, fetch_all, served

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
NOW_MS = parse_ms("2025-06-01T12:02:30Z")
MAPLE = "/api/sites/maple-office/timeseries/paginated"


@pytest.fixture(scope="module", params=sorted(WORLDS))
def traits(request: pytest.FixtureRequest) -> Traits:
    """Each of the two worlds."""
    return WORLDS[request.param]


@pytest.fixture(scope="module")
def sites(traits: Traits) -> dict[str, Site]:
    """The demo sites and the meter files."""
    files = sorted(DATA.glob("*.csv.gz"))
    return {
        **{spec.name: Site(*demo_site(spec, traits)) for spec in SITES},
        "meters": Site(*meter_site(files, number=6)),
    }


@pytest.fixture(scope="module")
def upstream(sites: dict[str, Site], traits: Traits) -> Iterator[http.client.HTTPConnection]:
    """A demo upstream whose clock stands still."""
    protocol = Protocol(sites, token=BEARER, traits=traits, now_ms=lambda: NOW_MS)
    with served(protocol.reply) as connection:
        yield connection


def test_lists_sites_in_pages(upstream: http.client.HTTPConnection) -> None:
    """Sites come in the upstream's page shape."""
    status, document, _ = fetch(upstream, "/api/sites/", page=2, per_page=2)

    assert status == 200
    assert [item["name"] for item in document.pop("items")] == ["river-hospital", "harbor-campus"]
    assert document == {"page": 2, "pages": 3, "per_page": 2, "total": 6}


def test_lists_points_of_a_site(upstream: http.client.HTTPConnection) -> None:
    """Both lists of points have names like real ones and the fields users of the API know."""
    _, document, _ = fetch(
        upstream, "/api/sites/north-campus/configured_points", page=1, per_page=5000
    )
    items = document["items"]
    names = [item["name"] for item in items]
    usual = [name for name in names if "/weather/" not in name and "~" not in name]

    assert document == fetch(upstream, "/api/sites/north-campus/points", per_page=5000)[1]
    assert document["total"] == len(set(names)) == 1000
    assert len(usual) == 994
    assert all(60 <= len(name) <= 100 for name in usual)
    for character in "/. ,:~ä":
        assert any(character in name for name in names)
    assert 280 <= max(map(len, names)) <= 512
    assert set(items[0]) >= {
        "id", "name", "client", "site", "kv_tags", "marker_tags", "bacnet_data", "collect_config",
        "point_type", "collect_enabled", "collect_interval", "created", "updated",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("site", "configured", "reporting"), [("harbor-campus", 2474, 2174), ("mill-works", 400, 400)]
)
def test_large_sites_report_every_five_minutes(
    upstream: http.client.HTTPConnection, site: str, configured: int, reporting: int
) -> None:
    """A site has the points it promises, and all that report do so at each five minutes."""
    asked = {"start_time": "2025-03-03T08:00:00Z", "end_time": "2025-03-03T08:14:59Z"}
    _, document, _ = fetch(upstream, f"/api/sites/{site}/points", per_page=5000)
    pages = fetch_all(
        upstream, f"/api/sites/{site}/timeseries/paginated", **asked, raw_data="true",
        page_size=5000,
    )  # fmt: skip
    seen: dict[str, set[str]] = {}
    for page in pages:
        for item in page:
            seen.setdefault(item["time"][11:19], set()).add(item["name"])

    assert document["total"] == configured
    assert sum(item["collect_enabled"] for item in document["items"]) == reporting
    assert sorted(seen) == ["08:00:00", "08:05:00", "08:10:00"]
    # Some sensors fail for hours, at times that depend on the day.
    assert all(0.97 * reporting < len(names) <= reporting for names in seen.values())


def test_weather_of_a_site(upstream: http.client.HTTPConnection) -> None:
    """The weather is the last sample of each weather point, which is a point like others."""
    _, weather, _ = fetch(upstream, "/api/sites/maple-office/weather")
    point = quote("maple-office/weather/temp", safe="")
    _, samples, _ = fetch(
        upstream, f"/api/points/{point}/timeseries", start_time="2025-06-01T11:00:00Z",
        end_time="2025-06-02T00:00:00Z",
    )  # fmt: skip

    assert weather["temp"] == samples["point_samples"][-1]
    assert weather["temp"]["time"].startswith("2025-06-01T12:00:00")
    assert {key for key, sample in weather.items() if sample is None} == {
        "feels_like", "pressure", "dew_point", "wind_deg", "wet_bulb",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/api/sites/nowhere/configured_points",
        "/api/sites/nowhere/points",
        "/api/points/unknown/timeseries?start_time=2025-01-01&end_time=2025-01-02",
        "/api/elsewhere",
        "/sites",
    ],
)
def test_answers_404(upstream: http.client.HTTPConnection, path: str) -> None:
    """Lists of unknown sites, unknown points and unknown paths are 404."""
    assert fetch(upstream, path)[0] == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"page_size": "7"},
        {"page_size": "+10"},
        {"cursor": "!"},
        {"cursor": "YWJj"},
        {"cursor": "e30="},
        {"start_time": "yesterday"},
        {"end_time": "2025-01-01T00:00:00Z"},
        {"raw_data": "maybe"},
    ],
)
def test_answers_400(upstream: http.client.HTTPConnection, changed: dict[str, str]) -> None:
    """Parameters the upstream does not know are refused."""
    params = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-02T00:00:00Z"}

    assert fetch(upstream, MAPLE, **params)[0] == 200
    assert fetch(upstream, MAPLE, **{**params, **changed})[0] == 400


def test_refusal_names_the_bad_value_only(upstream: http.client.HTTPConnection) -> None:
    """Which page sizes are allowed is not told."""
    params = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-02T00:00:00Z"}
    _, document, _ = fetch(upstream, MAPLE, **params, page_size=7)

    assert document == {"message": "page_size is not a valid choice: 7"}


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"points": ["a"]}', '{"points": [{"name": 1}]}', "{"]
)
def test_bodies_name_points_in_objects(upstream: http.client.HTTPConnection, body: str) -> None:
    """A list of bare names is refused like any other body that makes no sense."""
    status, _, _ = fetch(
        upstream, "/api/points/get_timeseries", method="POST", body=body,
        start_time="2025-01-01", end_time="2025-01-02",
    )  # fmt: skip
    assert status == 400


def test_refuses_other_callers(upstream: http.client.HTTPConnection) -> None:
    """No token is 401, a wrong method 405."""
    assert fetch(upstream, "/api/sites/", bearer=None)[0] == 401
    status, _, headers = fetch(upstream, "/api/sites/", method="DELETE")
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("page_size", [50, 500, 10_000])
def test_pages_join_to_the_whole(
    upstream: http.client.HTTPConnection, traits: Traits, page_size: int
) -> None:
    """Pages larger than a moment are full, ordered by time then name, and lose nothing."""
    asked = {"start_time": "2025-03-04T07:59:10Z", "end_time": "2025-03-04T09:00:00Z"}
    pages = fetch_all(upstream, MAPLE, **asked, raw_data="true", page_size=page_size)
    samples = [(item["time"], item["name"]) for page in pages for item in page]
    _, whole, _ = fetch(upstream, "/api/sites/maple-office/timeseries", **asked)

    assert all(len(page) == page_size for page in pages[:-1])
    assert samples == sorted(set(samples))
    assert samples == [(item["time"], item["name"]) for item in whole["point_samples"]]
    assert samples[0][0] >= asked["start_time"]
    # 2 points each minute, 30 each five minutes, 6 each quarter of an hour, 1 each hour.
    count = 2 * 60 + 30 * 12 + 6 * 4 + 1
    if traits.ends == "inclusive":
        assert samples[-1][0].startswith("2025-03-04T09:00:00")
        count += 39
    else:
        assert samples[-1][0].startswith("2025-03-04T08:59:00")
    assert len(samples) == count


def test_answers_depend_on_point_and_time_alone(
    upstream: http.client.HTTPConnection, sites: dict[str, Site], traits: Traits
) -> None:
    """A point's samples are the same in a page of the site, a filtered one and other calls."""
    asked = {"start_time": "2025-02-01T22:00:00Z", "end_time": "2025-02-02T02:59:59Z"}
    points = [str(point["name"]) for point in sites["maple-office"].source.points]
    plain = [name for name in points if "," not in name][10:13]
    whole = [
        item
        for page in fetch_all(upstream, MAPLE, **asked, raw_data="true", page_size=100)
        for item in page
        if item["name"] in plain
    ]
    (filtered,) = fetch_all(
        upstream, MAPLE, **asked, raw_data="true", point_names=",".join(plain), page_size=10_000
    )
    body = json.dumps({"points": [{"name": name} for name in plain]})
    _, batch, _ = fetch(upstream, "/api/points/get_timeseries", method="POST", body=body, **asked)
    _, single, _ = fetch(upstream, f"/api/points/{quote(plain[0], safe='')}/timeseries", **asked)

    assert len(whole) == 180
    assert [item for item in filtered if item["name"] in plain] == whole
    assert (len(filtered) == 180) is (traits.filter == "heeded")
    assert batch["point_samples"] == whole
    assert single["point_samples"] == [item for item in whole if item["name"] == plain[0]]


def test_buckets_of_five_minutes(upstream: http.client.HTTPConnection) -> None:
    """Without raw_data a point collected each minute has the mean of five."""
    _, document, _ = fetch(upstream, "/api/sites/maple-office/configured_points", per_page=40)
    name = next(
        item["name"] for item in document["items"] if item["name"].endswith("DP-1.Active Power")
    )
    asked = {"start_time": "2025-02-03T12:00:00Z", "end_time": "2025-02-03T12:19:59Z"}
    raw, buckets = (
        [item for item in page if item["name"] == name]
        for raw_data in ("true", "false")
        for page in fetch_all(upstream, MAPLE, **asked, raw_data=raw_data)
    )
    first = [float(item["value"]) for item in raw[:5]]

    assert len(raw) == 20
    assert [item["time"][11:16] for item in buckets] == ["12:00", "12:05", "12:10", "12:15"]
    assert float(buckets[0]["value"]) == pytest.approx(sum(first) / 5, abs=0.006)


def test_nothing_is_later_than_now(upstream: http.client.HTTPConnection) -> None:
    """A range that reaches into the future is answered up to the clock."""
    asked = {"start_time": "2025-06-01T11:50:00Z", "end_time": "2026-01-01T00:00:00Z"}
    (samples,) = fetch_all(upstream, MAPLE, **asked, raw_data="true")

    assert max(item["time"] for item in samples).startswith("2025-06-01T12:02:00")


def test_data_are_of_every_sort(traits: Traits) -> None:
    """A site has numeric strings, texts, nulls and outages; in the kind world bare values too."""
    _, source = demo_site(SITES[0], traits)
    start_ms = parse_ms("2024-01-01")
    texts: set[str | None] = set()
    for series in source._series.values():
        texts.update(series.texts(start_ms // series.interval_ms, 90 * DAY_MS // HOUR_MS))
    kinds = {type(json.loads(text)) if text else "outage" for text in texts}

    bare = {float, bool} if traits.values == "mixed" else set()
    assert kinds == {str, type(None), "outage"} | bare
    assert {'"occupied"', '"standby"', '"unoccupied"', '"0"', '"1"'} <= texts


def test_readings_stay_in_their_limits() -> None:
    """Positions stay from 0 to 100, counters never fall, and blocks join without a seam."""
    _, source = demo_site(SITES[0])
    start_ms = parse_ms("2024-06-20")
    for series in source._series.values():
        first, count = start_ms // series.interval_ms, 10 * DAY_MS // series.interval_ms
        texts = series.texts(first, count)
        halves = series.texts(first, 177) + series.texts(first + 177, count - 177)
        assert texts == halves
        values = [json.loads(text) for text in texts if text not in (None, "null")]
        if isinstance(series, CounterSeries):
            readings = [float(value) for value in values]
            assert readings == sorted(readings)
            assert readings[0] < readings[-1]
        elif series.name.endswith("Position"):
            assert all(0 <= float(value) <= 100 for value in values)


def test_whole_days_can_be_missing(sites: dict[str, Site], traits: Traits) -> None:
    """An outage of a whole site makes a day without data: an empty page, or a 404."""
    protocol = Protocol(sites, token=BEARER, traits=traits, now_ms=lambda: NOW_MS)
    answers = set()
    for day in range(parse_ms("2024-01-01"), parse_ms("2025-06-01"), DAY_MS):
        params = {
            "start_time": iso_text(day + 12 * HOUR_MS),
            "end_time": iso_text(day + 12 * HOUR_MS + 300_000),
            "page_size": "3",
        }
        request = Request("GET", MAPLE, MAPLE, params, {"authorization": f"Bearer {BEARER}"})
        reply = protocol.reply(request)
        answers.add((reply.status, reply.samples))
        if len(answers) > 1:
            break

    assert answers == {(200, 3), (200, 0) if traits.empty == "page" else (404, 0)}


@pytest.mark.parametrize("file", sorted(DATA.glob("*.csv.gz")), ids=lambda file: file.name)
def test_meter_values_are_the_files(upstream: http.client.HTTPConnection, file: Path) -> None:
    """A meter's samples are the file's, in order, value for value as it writes them."""
    with gzip.open(file, "rt", newline="") as text:
        rows = list(csv.reader(text))[1:]
    name = file.name.removesuffix(".csv.gz")
    _, document, _ = fetch(
        upstream, f"/api/points/{name}/timeseries", start_time="2000-01-01", end_time="2030-01-01"
    )
    samples = [(parse_ms(item["time"]), item["value"]) for item in document["point_samples"]]

    assert samples == [(parse_ms(row[-2]), row[-1]) for row in rows]


def test_meter_files_that_make_no_sense(tmp_path: Path) -> None:
    """A missing file, one of other content and two of one name say which file it is."""
    bad = tmp_path / "bad.csv"
    bad.write_text("time,value\n2025-01-01,1\nyesterday,2\n")
    good = tmp_path / "good.csv"
    good.write_text("time,value\n2025-01-01T01:00:00+01:00,1.50\n2025-01-01 01:00:00,\n")

    assert read_meter(good) == [(1735689600000, "1.50"), (1735693200000, "")]
    with pytest.raises(MeterFileError, match=r"bad\.csv line 3"):
        read_meter(bad)
    with pytest.raises(MeterFileError, match=r"none\.csv"):
        read_meter(tmp_path / "none.csv")
    with pytest.raises(MeterFileError, match="same name"):
        meter_site([good, good], number=1)


def test_rate_limit_says_when_to_come_back() -> None:
    """The request over the limit is 429 with Retry-After; after that time one passes."""
    clock = [0.0]
    limit = RateLimit(30, now_s=lambda: clock[0])
    with served(throttled(lambda request: Reply(200, b"{}"), limit)) as connection:
        statuses = [fetch(connection, "/api/sites")[0] for _ in range(31)]
        assert statuses == [200] * 30 + [429]
        assert fetch(connection, "/api/sites")[2]["Retry-After"] == "2"
        clock[0] = 2.0
        assert fetch(connection, "/api/sites")[0] == 200
        assert fetch(connection, "/api/sites")[0] == 429


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_and_ends(number: signal.Signals) -> None:
    """The command says where it is, serves with the token given, and ends cleanly on a signal."""
    meter = DATA / "il-tempF.csv.gz"
    command = [sys.executable, str(ROOT / "scripts" / "demo_upstream.py"), "--port", "0"]
    options = [
        "--token",
        "secret",
        "--latency-ms",
        "1",
        "--rate-limit",
        "1000",
        "--ms-per-1000-samples",
        "1",
        "--csv",
        str(meter),
        "--site",
        "pier-9=3:60",
    ]
    process = subprocess.Popen(  # noqa: S603
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 30)[0]
        line = process.stdout.readline()
        assert line.startswith("Ready on http://127.0.0.1:")
        connection = http.client.HTTPConnection(line.split("//")[1].strip(), timeout=20)
        _, document, _ = fetch(connection, "/api/sites/", bearer="secret")
        _, points, _ = fetch(connection, "/api/sites/pier-9/points", bearer="secret")
        connection.close()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()

    assert [item["name"] for item in document["items"]][-2:] == ["pier-9", "meters"]
    assert [item["collect_interval"] for item in points["items"]] == [60, 60, 60]
    assert (process.returncode, rest, errors) == (0, "", "")


def test_command_says_why_it_cannot_start(tmp_path: Path) -> None:
    """A port that is taken and a file that is missing end the command with one line."""
    with served(lambda request: Reply(200, b"{}")) as connection:
        for options, reason in (
            (["--port", str(connection.port)], f"port {connection.port}"),
            (["--port", "0", "--csv", str(tmp_path / "none.csv")], "none.csv"),
        ):
            ended = subprocess.run(  # noqa: S603
                [sys.executable, str(ROOT / "scripts" / "demo_upstream.py"), *options],
                capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert ended.returncode == 1
            assert reason in ended.stderr
            assert len(ended.stderr.splitlines()) == 1
