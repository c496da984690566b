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
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from demo.building import CounterSeries
from demo.instants import DAY_MS, HOUR_MS, iso_text, parse_ms
from demo.messages import Reply, Request
from demo.meters import MeterFileError, meter_site, read_meter
from demo.protocol import Protocol, Site
from demo.server import RateLimit, make_server, throttled
from demo.sites import SITES, demo_site

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
NOW_MS = parse_ms("2025-06-01T12:02:30Z")
BEARER = "demo-token"
MAPLE = "/api/sites/maple-office/timeseries/paginated"


@contextmanager
def served(answer: Any) -> Iterator[http.client.HTTPConnection]:
    """Serve *answer* and yield a connection to it."""
    server = make_server(0, answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()
        server.shutdown()
        server.server_close()
        thread.join()


def fetch(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: str | None = None,
    bearer: str | None = BEARER,
    **params: object,
) -> tuple[int, Any, dict[str, str]]:
    """Return status, document and headers of one call."""
    target = f"{path}?{urlencode(params)}" if params else path
    headers = {"authorization": f"Bearer {bearer}"} if bearer else {}
    connection.request(method, target, body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read()), dict(response.headers)


def fetch_all(
    connection: http.client.HTTPConnection, path: str, **params: Any
) -> list[list[dict[str, Any]]]:
    """Return the samples of every page."""
    pages = []
    cursor: dict[str, str] = {}
    while True:
        status, document, _ = fetch(connection, path, **params, **cursor)
        assert status == 200
        pages.append(document["point_samples"])
        if not document["has_more"]:
            assert document["next_cursor"] is None
            return pages
        cursor = {"cursor": document["next_cursor"]}


@pytest.fixture(scope="module")
def sites() -> dict[str, Site]:
    """The demo sites and the meter files."""
    files = sorted(DATA.glob("*.csv.gz"))
    return {
        **{spec.name: Site(*demo_site(spec)) for spec in SITES},
        "meters": Site(*meter_site(files, number=4)),
    }


@pytest.fixture(scope="module")
def upstream(sites: dict[str, Site]) -> Iterator[http.client.HTTPConnection]:
    """A demo upstream whose clock stands still."""
    with served(Protocol(sites, token=BEARER, now_ms=lambda: NOW_MS).reply) as connection:
        yield connection


def test_lists_sites_in_pages(upstream: http.client.HTTPConnection) -> None:
    """Sites come in the upstream's page shape, with or without a trailing slash."""
    status, document, _ = fetch(upstream, "/api/sites", page=2, per_page=3)

    assert status == 200
    assert [item["name"] for item in document.pop("items")] == ["meters"]
    assert document == {"page": 2, "pages": 2, "per_page": 3, "total": 4}
    assert fetch(upstream, "/api/sites/")[1]["total"] == 4


def test_lists_points_of_a_site(upstream: http.client.HTTPConnection) -> None:
    """Configured points have names like real ones and the fields users of the API know."""
    _, document, _ = fetch(
        upstream, "/api/sites/north-campus/configured_points", page=1, per_page=5000
    )
    names = [item["name"] for item in document["items"]]

    assert document["total"] == len(set(names)) == 1000
    assert all(60 <= len(name) <= 100 for name in names)
    for character in "/. ,":
        assert any(character in name for name in names)
    assert set(document["items"][0]) >= {
        "collect_interval", "marker_tags", "kv_tags", "bacnet_data", "point_type",
        "collect_enabled",
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/api/sites/nowhere",
        "/api/sites/nowhere/configured_points",
        "/api/sites/nowhere/timeseries/paginated?start_time=2025-01-01&end_time=2025-01-02",
        "/api/sites/maple-office/timeseries/paginated?start_time=2001-01-01&end_time=2001-01-02",
        "/api/sites/maple-office/timeseries/paginated?start_time=2030-01-01&end_time=2030-01-02",
        "/api/points/unknown/timeseries?start_time=2025-01-01&end_time=2025-01-02",
        "/api/elsewhere",
        "/sites",
    ],
)
def test_answers_404(upstream: http.client.HTTPConnection, path: str) -> None:
    """Unknown sites, points and paths, and periods without data are 404."""
    assert fetch(upstream, path)[0] == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"page_size": "7"},
        {"page_size": "+10"},
        {"cursor": "!"},
        {"cursor": "YWJj"},
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


def test_refuses_other_callers(upstream: http.client.HTTPConnection) -> None:
    """No token or a wrong one is 401, a wrong method 405, a URL over 8,000 characters 414."""
    assert fetch(upstream, "/api/sites", bearer=None)[0] == 401
    assert fetch(upstream, "/api/sites", bearer="x")[0] == 401
    status, _, headers = fetch(upstream, "/api/sites", method="DELETE")
    assert (status, headers["Allow"]) == (405, "GET")
    long = "/api/sites?page=1&x="
    assert fetch(upstream, long + "y" * (8000 - len(long)))[0] == 200
    assert fetch(upstream, long + "y" * (8001 - len(long)))[0] == 414


@pytest.mark.parametrize("page_size", [50, 500, 10_000])
def test_pages_join_to_the_whole(upstream: http.client.HTTPConnection, page_size: int) -> None:
    """Whatever the page size, pages are full, ordered by time then name, and lose nothing."""
    asked = {"start_time": "2025-03-03T07:59:10Z", "end_time": "2025-03-03T09:00:00Z"}
    pages = fetch_all(upstream, MAPLE, **asked, raw_data="true", page_size=page_size)
    samples = [(item["time"], item["name"]) for page in pages for item in page]

    assert all(len(page) == page_size for page in pages[:-1])
    assert samples == sorted(set(samples))
    assert samples[0][0] >= asked["start_time"]
    assert samples[-1][0] == "2025-03-03T08:59:00Z"
    # 2 points each minute, 34 each five minutes, 2 each quarter of an hour, 1 each hour.
    assert len(samples) == 2 * 60 + 34 * 12 + 2 * 4 + 1


def test_answers_depend_on_point_and_time_alone(
    upstream: http.client.HTTPConnection, sites: dict[str, Site]
) -> None:
    """A point's samples are the same in a page of the site, a filtered one and other calls."""
    asked = {"start_time": "2025-02-01T22:00:00Z", "end_time": "2025-02-02T03:00:00Z"}
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
    assert filtered == whole
    assert batch["point_samples"] == whole
    assert single["point_samples"] == [item for item in whole if item["name"] == plain[0]]


def test_buckets_of_five_minutes(upstream: http.client.HTTPConnection) -> None:
    """Without raw_data a point collected each minute has the mean of five."""
    _, document, _ = fetch(upstream, "/api/sites/maple-office/configured_points")
    name = next(
        item["name"] for item in document["items"] if item["name"].endswith("DP-1.Active Power")
    )
    asked = {"start_time": "2025-02-03T12:00:00Z", "end_time": "2025-02-03T12:20:00Z"}
    (raw,) = fetch_all(upstream, MAPLE, **asked, point_names=name, raw_data="true")
    (buckets,) = fetch_all(upstream, MAPLE, **asked, point_names=name)
    first = [float(item["value"]) for item in raw[:5]]

    assert len(raw) == 20
    assert [item["time"][11:16] for item in buckets] == ["12:00", "12:05", "12:10", "12:15"]
    assert float(buckets[0]["value"]) == pytest.approx(sum(first) / 5, abs=0.006)


def test_nothing_is_later_than_now(upstream: http.client.HTTPConnection) -> None:
    """A range that reaches into the future is answered up to the clock."""
    asked = {"start_time": "2025-06-01T11:50:00Z", "end_time": "2026-01-01T00:00:00Z"}
    (samples,) = fetch_all(upstream, MAPLE, **asked, raw_data="true")

    assert max(item["time"] for item in samples) == "2025-06-01T12:02:00Z"


def test_data_are_of_every_sort() -> None:
    """A site has numeric strings, numbers, texts, booleans, nulls, and outages."""
    _, source = demo_site(SITES[0])
    start_ms = parse_ms("2024-01-01")
    texts: set[str | None] = set()
    for series in source._series.values():
        texts.update(series.texts(start_ms // series.interval_ms, 90 * DAY_MS // HOUR_MS))
    kinds = {type(json.loads(text)) if text else "outage" for text in texts}

    assert kinds == {str, float, bool, type(None), "outage"}
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


def test_whole_days_can_be_missing(sites: dict[str, Site]) -> None:
    """An outage of a whole site makes a day without data, which is a 404."""
    protocol = Protocol(sites, token=BEARER, now_ms=lambda: NOW_MS)
    statuses = set()
    for day in range(parse_ms("2024-01-01"), parse_ms("2025-06-01"), DAY_MS):
        params = {
            "start_time": iso_text(day + 12 * HOUR_MS),
            "end_time": iso_text(day + 12 * HOUR_MS + 300_000),
            "page_size": "3",
        }
        request = Request("GET", MAPLE, MAPLE, params, {"authorization": f"Bearer {BEARER}"})
        statuses.add(protocol.reply(request).status)

    assert statuses == {200, 404}


@pytest.mark.parametrize("file", sorted(DATA.glob("*.csv.gz")), ids=lambda file: file.name)
def test_meter_values_are_the_files(upstream: http.client.HTTPConnection, file: Path) -> None:
    """A meter's samples are the file's, in order, value for value as it writes them."""
    with gzip.open(file, "rt", newline="") as text:
        rows = list(csv.reader(text))[1:]
    name = file.name.removesuffix(".csv.gz")
    pages = fetch_all(
        upstream, "/api/sites/meters/timeseries/paginated", start_time="2000-01-01",
        end_time="2030-01-01", raw_data="true", point_names=name,
    )  # fmt: skip
    samples = [(parse_ms(item["time"]), item["value"]) for page in pages for item in page]

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
        "--csv",
        str(meter),
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
        _, document, _ = fetch(connection, "/api/sites", bearer="secret")
        connection.close()
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()

    assert [item["name"] for item in document["items"]][-1] == "meters"
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
