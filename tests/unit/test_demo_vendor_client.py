"""The vendor's own client and models against the demo upstream, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from aceiot_models.api import APIClient, APIError, PaginatedResults
from aceiot_models.points import PointPaginatedResponse
from aceiot_models.sites import Site as SiteModel
from aceiot_models.sites import SitePaginatedResponse
from aceiot_models.timeseries import TimeseriesData, WeatherData

from demo.instants import parse_ms
from demo.protocol import Protocol, Site
from demo.server import make_server
from demo.sites import SITES, demo_site
from demo.traits import FAITHFUL
from fakes.demo_calls import BEARER

NOW_MS = parse_ms("2025-06-01T12:02:30Z")
HOUR = {"start_time": "2025-03-04T08:00:00Z", "end_time": "2025-03-04T08:59:59Z"}
MAPLE = "maple-office"


@pytest.fixture(scope="module")
def client() -> Iterator[APIClient]:
    """The vendor's client of a faithful demo upstream."""
    sites = {spec.name: Site(*demo_site(spec)) for spec in SITES}
    protocol = Protocol(sites, token=BEARER, traits=FAITHFUL, now_ms=lambda: NOW_MS)
    server = make_server(0, protocol.reply)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    vendor = APIClient(f"http://127.0.0.1:{server.port}/api", BEARER, timeout=20)
    # Nothing of the machine's own settings lies between the two.
    vendor.session.trust_env = False
    yield vendor
    vendor.session.close()
    server.shutdown()
    server.server_close()
    thread.join()


def names_of(client: APIClient, site: str) -> list[str]:
    """Return the names of a site's points that report."""
    points = PaginatedResults(client.get_site_configured_points, per_page=100, site_name=site)
    return [str(item["name"]) for item in points.all_items() if item["collect_enabled"]]


def test_sites_are_the_models(client: APIClient) -> None:
    """The list, to which a redirect leads, and a site alone are what the models take."""
    page = SitePaginatedResponse.model_validate(client.get_sites(per_page=10))
    site = SiteModel.model_validate(client.get_site(MAPLE))

    assert [item.name for item in page.items] == [spec.name for spec in SITES]
    assert site == page.items[0]
    assert (site.client, site.archived) == ("demo", False)
    hidden = client.get_sites(per_page=10, collect_enabled=True, show_archived=True)
    assert hidden == client.get_sites(per_page=10)


@pytest.mark.parametrize("site", [spec.name for spec in SITES])
def test_points_are_the_models(client: APIClient, site: str) -> None:
    """Both lists of points, of the odd names too, are what the models take."""
    page = PointPaginatedResponse.model_validate(client.get_site_points(site, per_page=5000))
    again = client.get_site_configured_points(site, per_page=5000)

    assert page == PointPaginatedResponse.model_validate(again)
    assert len(page.items) == page.total
    assert {point.site for point in page.items} == {site}
    assert any(point.bacnet_data and point.bacnet_data.device_id for point in page.items)


@pytest.mark.parametrize("is_raw", [True, False])
def test_pages_are_the_models(client: APIClient, is_raw: bool) -> None:
    """The client's own walk through pages ends, and its samples are what the models take."""
    answer = client.get_site_timeseries_paginated(
        MAPLE, HOUR["start_time"], HOUR["end_time"], page_size=100, raw_data=is_raw
    )
    whole = client.get_site_timeseries(MAPLE, HOUR["start_time"], HOUR["end_time"])
    samples = TimeseriesData.model_validate(answer).point_samples

    assert len({(sample.name, sample.time) for sample in samples}) == len(samples)
    assert {sample.name for sample in samples} <= set(names_of(client, MAPLE))
    assert all(sample.time.tzinfo is None for sample in samples)
    assert all(sample.value is None or isinstance(sample.value, str) for sample in samples)
    assert (answer == whole) is is_raw


def test_samples_by_point_are_the_models(client: APIClient) -> None:
    """One point and a hundred give what the models take, by path and by body."""
    names = names_of(client, "mill-works")[:100]
    # Annotated as texts, passed on as they are; the service wants objects.
    points: Any = [{"name": name} for name in names]
    batch = client.get_points_timeseries(points, HOUR["start_time"], HOUR["end_time"])
    samples = TimeseriesData.model_validate(batch).point_samples
    odd = next(name for name in names if "ü" in name)
    single = client.get_point_timeseries(odd, HOUR["start_time"], HOUR["end_time"])

    found = {sample.name for sample in samples}
    assert found <= set(names)
    # Now and then a sensor is out for some hours.
    assert len(found) > 90
    assert TimeseriesData.model_validate(single).point_samples == [
        sample for sample in samples if sample.name == odd
    ]


def test_bare_names_are_refused(client: APIClient, capsys: pytest.CaptureFixture[str]) -> None:
    """A list of strings, which the client's annotation asks for, is a 400."""
    with pytest.raises(APIError) as caught:
        client.get_points_timeseries(["a"], HOUR["start_time"], HOUR["end_time"])
    assert caught.value.status_code == 400
    assert "400 Bad Request" in capsys.readouterr().out


def test_weather_is_the_model(client: APIClient) -> None:
    """The weather is what the model takes, with the values of the demo's weather points."""
    weather = WeatherData.model_validate(client.get_site_weather(MAPLE))

    assert weather.temp is not None
    assert weather.temp.name == "maple-office/weather/temp"
    assert weather.wind_speed is not None
    assert weather.dew_point is None


def test_unknown_site_is_forbidden(client: APIClient) -> None:
    """What the service does not know is 403, with nothing but nulls."""
    with pytest.raises(APIError) as caught:
        client.get_site("nowhere")
    assert caught.value.status_code == 403
    assert set((caught.value.response_data or {"": ""}).values()) == {None}
