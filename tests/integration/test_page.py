"""The page in a real Chromium, against the real Worker with the demo's data and real meters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devtools.layout import NODE_MODULES
from devtools.toolchain import Toolchain
from integration.harness.browser import Browser, running_browser
from integration.harness.client import until
from integration.harness.worker_server import ROOT, WorkerServer

METER = ROOT / "tests" / "data" / "uk-electricity-hdd-only-hourly-sample-0.csv.gz"
SITE, SITE_NAME = "maple-office", "Maple Street Office"
DAY_MS = 86_400_000
AHU = f"{SITE}/10.1.11.4-10002/Air Handling Unit AHU-01"
OUTDOOR = f"{SITE}/10.1.11.2-10000/Weather Station/Outdoor Air Temperature"
SUPPLY = f"{AHU}/Supply Air Temperature"
FAN = f"{AHU}/Supply Fan Status"
ALARM = f"{AHU}/Freeze Protection Alarm"
POWER = f"{SITE}/10.1.11.3-10001/Electrical Room 001/Main Meter.Active Power"
DAY = {"from": "2026-10-01T00:00:00Z", "to": "2026-10-02T00:00:00Z", "tz": "UTC"}


NOW = {"from": "now-1h", "to": "now", "refresh": "1"}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerServer]:
    """A Worker in front of the demo upstream, which has a real meter too."""
    server = WorkerServer(
        tmp_path_factory.mktemp("page"),
        variables={"LARGE_THRESHOLD": "5000"},
        options=[f"--demo=--csv={METER}", "--demo=--latency-ms=20"],
    )
    with server.healthy():
        yield server


@pytest.fixture(scope="module")
def browser(tools: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with running_browser(tools, tmp_path_factory.mktemp("pictures")) as running:
        yield running


def query(*points: str, **more: str) -> list[tuple[str, str]]:
    """Return what stands in the page's address: a day of some points, unless told otherwise."""
    return [("site", SITE), *(("p", name) for name in points), *(DAY | more).items()]


def ends(title: str) -> list[str]:
    """Return the two ends of a range as the page says it."""
    return title.split(" \N{EN DASH} ")


def test_files_are_served_without_a_key_and_never_by_python(page: WorkerServer) -> None:
    """`GET /` and its files carry the policy; hashed ones are kept for ever; others are a 404."""
    answer = page.client.get("/")
    assert 200 == answer.status
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "X-Request-Id" not in answer.headers
    script = next(line for line in answer.text.splitlines() if "main.js" in line and "src=" in line)
    path = script.split('src="')[1].split('"')[0]
    module = page.client.get(path)
    assert "immutable" in module.headers["Cache-Control"]
    assert module.headers["Content-Type"].startswith("text/javascript")
    assert 304 == page.client.get("/", headers={"If-None-Match": answer.headers["ETag"]}).status
    assert "image/svg+xml" == page.client.get("/favicon.svg").headers["Content-Type"]
    assert 301 == page.client.get("/favicon.ico").status
    missing = page.client.get("/page/none.js")
    assert (404, "application/problem+json") == (missing.status, missing.headers["Content-Type"])


def test_points_are_found_by_words_and_drawn(page: WorkerServer, browser: Browser) -> None:
    """From nothing to two charts: a site, abbreviations, clicks; the address and a line say it."""
    found = browser.run("findAndDraw", page.url, siteName=SITE_NAME)
    assert found["found"]
    assert all("Zone Air Temperature" in name for name in found["found"])
    assert ["°F", "ppm"] == [heading.rstrip("ZCa ") for heading in found["headings"]]
    assert 2 == found["rows"]
    assert min(found["ink"]) > 300
    assert SITE == found["address"]["site"]
    assert "fetched" in found["happened"]
    assert "request" in found["happened"]


def test_dragging_zooms_with_finer_data_and_back_undoes_it(
    page: WorkerServer, browser: Browser
) -> None:
    """A quarter of a day is a quarter; twice the plot's width is asked for, aligned outward."""
    zoomed = browser.run("zoomAndBack", page.url, query=query(OUTDOOR, SUPPLY))
    assert abs(zoomed["span"] - DAY_MS / 4) < DAY_MS / 100
    assert zoomed["inside"]
    assert abs(zoomed["maxPoints"] - 2) < 0.02


def test_charts_are_panned_and_zoomed_by_wheel(page: WorkerServer, browser: Browser) -> None:
    """Shift and drag moves by as much as the hand does; the wheel makes the span smaller."""
    moved = browser.run("panAndWheel", page.url, query=dict(query(OUTDOOR)))
    assert abs(moved["pan"] - 0.25) < 0.02
    assert abs(moved["span"] - 1) < 0.01
    assert 0.2 < moved["wheel"] < 0.9


def test_shared_link_shows_the_same(page: WorkerServer, browser: Browser) -> None:
    """Another tab shows the points, the time and what is hidden."""
    shared = browser.run("sharedLink", page.url, query=query(OUTDOOR, SUPPLY), name="Supply Air")
    assert 1 == shared["off"]
    assert ["2026-10-01 00:00 Z", "2026-10-02 00:00 Z"] == ends(shared["time"])
    assert OUTDOOR == shared["address"]["hide"]


def test_time_is_typed_and_shown_in_either_zone(page: WorkerServer, browser: Browser) -> None:
    """What cannot be read is said; dates without an offset are of the zone shown."""
    said = browser.run("timePanel", page.url, query=query(OUTDOOR, tz="browser"))
    assert said["problem"].startswith("From cannot be read: “nonsense”")
    assert ["2026-10-01 00:00 -05:00", "2026-10-02 12:00 -05:00"] == ends(said["typed"])
    assert ["2026-10-01 00:00 Z", "2026-10-02 12:00 Z"] == ends(said["utc"])
    assert ("yesterday", "today", "UTC") == tuple(
        said["address"][key] for key in ("from", "to", "tz")
    )
    assert "Yesterday" == said["text"]


def test_refusals_are_said_and_leave_the_picture(page: WorkerServer, browser: Browser) -> None:
    """Every problem of a 400, the wait of a 429, a failing upstream, no connection are told."""
    said = browser.run("refusals", page.url, query=query(OUTDOOR))
    assert said["stays"]
    assert "site: is unknown" in said["bad"]
    assert "points: are too many" in said["bad"]
    assert "30 s" in said["limited"]
    assert "the upstream answered 500" in said["failed"]
    assert "r-1" in said["failed"]
    assert "in time" in said["gateway"]
    assert "off-line" in said["offline"]


def test_empty_range_says_where_the_newest_sample_is(page: WorkerServer, browser: Browser) -> None:
    """A range before the first sample leads to the newest."""
    long_ago = {"from": "2021-03-01T00:00:00Z", "to": "2021-03-02T00:00:00Z"}
    found = browser.run("emptyRange", page.url, query=query(OUTDOOR, **long_ago))
    assert "The newest sample is of " in found["said"]
    assert found["ink"] > 300


def test_one_unknown_point_of_many_is_named(page: WorkerServer, browser: Browser) -> None:
    """The others are drawn, and it can be removed."""
    found = browser.run("unknownPoint", page.url, query=query(OUTDOOR, f"{OUTDOOR}s", SUPPLY))
    assert "One point has nothing to show" in found["said"]
    assert "unknown point" in found["said"]
    assert [OUTDOOR, SUPPLY] == found["points"]


def test_points_that_find_no_place_are_counted(page: WorkerServer, browser: Browser) -> None:
    """“Add all shown” draws twenty, and says of how many."""
    found = browser.run("manyPoints", page.url, site=SITE)
    assert "20 of 40 drawn" in found["said"]
    assert (20, 20) == (found["count"], found["chosen"])


def test_everything_can_be_taken_away(page: WorkerServer, browser: Browser) -> None:
    """Each file holds all samples; what is copied asks the same question."""
    labels = ["CSV, long", "CSV, wide", "NDJSON", "JSON", "PNG picture"]
    taken = browser.run("readDownloads", page.url, query=query(OUTDOOR, SUPPLY), labels=labels)
    files: dict[str, Any] = taken["files"]
    assert files["CSV, long"]["head"].startswith("time,point,value")
    assert files["CSV, wide"]["head"].startswith(f"time,{OUTDOOR}"[:50])
    assert files["NDJSON"]["head"].startswith('{"point"')
    assert files["JSON"]["head"].startswith('{"data"')
    assert "PNG" in files["PNG picture"]["head"]
    assert files["PNG picture"]["size"] > 5000
    counts = {name: files[name]["lines"] for name in ("CSV, long", "NDJSON")}
    assert counts["CSV, long"] == counts["NDJSON"] + 1 == 2 * 288 + 1
    assert f"{SITE}_2026-10-01T0000_2026-10-02T0000.csv" == files["CSV, long"]["name"]
    assert taken["url"] == taken["copied"]["Copy link"]
    assert "curl" in taken["copied"]["Copy curl"]
    assert "read_csv" in taken["copied"]["Copy Python"]


def test_real_meter_is_drawn(page: WorkerServer, browser: Browser) -> None:
    """A month of a real electricity meter, whose point has no unit and no long name."""
    month = {"from": "2020-06-01T00:00:00Z", "to": "2020-07-01T00:00:00Z", "tz": "UTC"}
    meter = METER.name.removesuffix(".csv.gz")
    asked = [("site", "meters"), ("p", meter), *month.items()]
    found = browser.run("meter", page.url, query=asked)
    assert ["No unit"] == found["headings"]
    assert found["ink"] > 1000
    assert meter in found["row"]
    assert "720" in found["row"]


def test_comparison_is_drawn_dashed_with_the_difference(
    page: WorkerServer, browser: Browser
) -> None:
    """The week before lies below, the legend has the difference of the means."""
    found = browser.run("compared", page.url, query=query(OUTDOOR))
    assert found["more"] > 100
    assert found["difference"].strip("+\N{MINUS SIGN}").replace(".", "").isdigit()
    assert 4 == len(found["tooltip"])


def test_job_shows_progress_survives_a_reload_and_is_drawn(
    page: WorkerServer, browser: Browser
) -> None:
    """Six weeks are a job; after a reload it is the same one; then come the charts."""
    names = [f"{AHU}/{name}" for name in ("Return Air Temperature", "Cooling Coil Valve Position")]
    weeks = {"from": "2026-07-01T00:00:00Z", "to": "2026-08-15T00:00:00Z"}
    found = browser.run("jobToItsEnd", page.url, query=query(*names, **weeks))
    assert 1 == found["jobs"]
    assert found["values"] == sorted(found["values"])
    assert found["isHidden"]
    assert found["ink"] > 1000
    assert "hit" in found["happened"]


def test_job_is_cancelled(page: WorkerServer, browser: Browser) -> None:
    """Cancel ends the job, and says so; the question can be asked again."""
    names = [
        f"{AHU}/{name}" for name in ("Heating Coil Valve Position", "Supply Fan Speed Feedback")
    ]
    year = {"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    found = browser.run("jobCancelled", page.url, query=query(*names, **year))
    assert "Ask again" in found["said"]
    assert found["isHidden"]


def test_states_are_lanes_and_nulls_are_told(page: WorkerServer, browser: Browser) -> None:
    """What is no number has a lane each, with its colours; the legend counts missing values."""
    found = browser.run("lanes", page.url, query=query(OUTDOOR, FAN, ALARM))
    assert found["colors"].get("22,128,60", 0) > 1000
    assert "normal" in found["tooltip"]
    assert any("no value" in row for row in found["rows"])


def test_everything_works_by_keyboard(page: WorkerServer, browser: Browser) -> None:
    """Find, draw, move the cursor, pin, shift, go back, list the shortcuts."""
    found = browser.run("keyboardOnly", page.url, query=query(), word="oat")
    said = found["said"]
    assert len(set(said)) == len(said)
    assert all("Outdoor Air Temperature" in text and "°F" in text for text in said)
    assert said[0].startswith("2026-10-01 00:00")
    assert said[2].startswith("2026-10-01 00:55")
    assert found["pinned"]
    assert found["hidden"]
    assert "2026-09-30T00:00:00Z" == found["earlier"]["from"]
    assert "Shortcuts" in found["help"]


def test_page_fits_a_phone(page: WorkerServer, browser: Browser) -> None:
    """At 360 px nothing is cut off; a tap shows values, two fingers zoom."""
    phone = {"viewport": {"width": 360, "height": 740}, "hasTouch": True}
    found = browser.run("onAPhone", page.url, query=query(OUTDOOR), context=phone)
    assert (0, 0) == (found["wide"], found["open"])
    assert 0.2 < found["span"] < 0.6


def test_axe_finds_nothing_serious(page: WorkerServer, browser: Browser) -> None:
    """Labels, roles, contrast in both themes: axe-core has nothing serious to say of any view."""
    source = str(NODE_MODULES / "axe-core" / "axe.min.js")
    asked = query(OUTDOOR, FAN, f"{OUTDOOR}s", cmp="1d")
    assert [] == browser.run("accessibility", page.url, query=asked, source=source)


def test_live_chart_asks_by_itself_unless_nobody_looks(
    page: WorkerServer, browser: Browser
) -> None:
    """Once a minute, not while hidden, at once when seen again."""
    found = browser.run("live", page.url, query=query(OUTDOOR, **NOW))
    assert "newest sample" in found["fresh"]
    assert (1, 0, 1) == (found["once"], found["hidden"], found["seen"])


def test_mouse_draws_no_line_again(page: WorkerServer, browser: Browser) -> None:
    """The cursor lies above the canvas, so that each move costs the values beside it alone."""
    found = browser.run("mouseMoves", page.url, query=query(OUTDOOR, SUPPLY))
    assert (0, 4) == (found["moved"], found["said"])


def test_operator_sees_followed_sites(page: WorkerServer, browser: Browser) -> None:
    """Each with its state and how far its past has been read."""
    path = f"/api/sites/{SITE}/follow"
    assert page.client.request("PUT", path, json={"since": "now-1h", "every": "1d"}).status < 300
    try:
        [cells] = browser.run("follows", page.url)
        assert SITE == cells[0]
        assert cells[1] in {"following", "backfilling", "behind"}
        assert cells[3].endswith(" %")
    finally:
        page.client.delete(path, {"forget": "true"})


def test_operator_sees_the_hours_of_a_day(page: WorkerServer, browser: Browser) -> None:
    """Requests of each route, hits and percentiles, as /api/stats has them; before, nothing."""
    asked = [("site", SITE), ("point", OUTDOOR), ("start_time", DAY["from"])]

    def this_hour() -> dict[str, Any]:
        hours = page.client.get("/api/stats").json()["hours"]
        return dict(hours[-1]) if hours else {}

    def shown() -> tuple[dict[str, Any], dict[str, Any]] | None:
        hour = this_hour()
        if not {"direct", "cached"} <= {each["routeType"] for each in hour.get("routes", [])}:
            for route in ("direct", "cached"):
                answer = page.client.get(
                    "/api/timeseries", [*asked, ("end_time", DAY["to"]), ("route", route)]
                )
                assert 200 == answer.status
            return None
        # What earlier tests asked for may still be on its way to the statistics.
        seen = browser.run("operator", page.url)
        return (seen, hour) if this_hour() == hour else None

    found, last = until(shown, what="an hour that stays as it is")
    assert ["requests/h", "% hits", "ms, p95"] == found["headings"]
    assert min(found["ink"]) > 3
    expected = [
        sorted(f"{route['requests']} requests/h" for route in last["routes"]),
        [f"{last['hitRate'] * 100:.4g} % hits"],
        sorted(f"{route['p95Duration']:,.0f} ms, p95" for route in last["routes"]),
    ]
    assert expected == [sorted(each) for each in found["said"]]
    assert "No sample near" in found["before"]
