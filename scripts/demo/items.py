"""
Sites and points as the upstream's lists show them.

Separate because the demo sites, the meter files and the tests' fake upstream all make such items.
"""

from collections.abc import Mapping, Sequence

from demo.sources import Item

CREATED = "2022-01-01T00:00:00"
WEATHER_KEYS = (
    *("temp", "feels_like", "pressure", "humidity", "dew_point", "clouds"),
    *("wind_speed", "wind_deg", "wet_bulb"),
)


def point_item(
    number: int,
    name: str,
    site: Item,
    *,
    interval_s: int,
    is_collected: bool = True,
    point_type: str = "bacnet",
    marker_tags: Sequence[str] = (),
    kv_tags: Mapping[str, str] | None = None,
    bacnet_data: Mapping[str, object] | None = None,
) -> Item:
    """
    Return a point as the lists of points show it.

    Args:
        number: Its id.
        name: Its full name.
        site: The item of its site.
        interval_s: Seconds between samples.
        is_collected: Whether it reports.
        point_type: How it is collected.
        marker_tags: Tags without a value.
        kv_tags: Tags with one.
        bacnet_data: What BACnet says of it.
    """
    return {
        "id": number,
        "name": name,
        "client": site["client"],
        "client_id": site["client_id"],
        "site": site["name"],
        "site_id": site["id"],
        "kv_tags": dict(kv_tags or {}),
        "marker_tags": list(marker_tags),
        "bacnet_data": None if bacnet_data is None else dict(bacnet_data),
        "collect_config": {},
        "point_type": point_type,
        "collect_enabled": is_collected,
        "collect_interval": interval_s,
        "topic_id": None,
        "device_id": None,
        "created": CREATED,
        "updated": CREATED,
    }


def site_item(
    number: int,
    name: str,
    *,
    client: str,
    nice_name: str | None = None,
    address: str | None = None,
    latitude: float | None = None,
    longitude: float | None = None,
    is_archived: bool = False,
) -> Item:
    """
    Return a site as the list of sites shows it.

    Args:
        number: Its id.
        name: As addresses use it.
        client: Whose it is.
        nice_name: As people read it; the name when None.
        address: Of the building.
        latitude: Degrees north.
        longitude: Degrees east.
        is_archived: Whether the list leaves it out.
    """
    return {
        "id": number,
        "name": name,
        "nice_name": nice_name or name,
        "client": client,
        "client_id": 1,
        "address": address,
        "latitude": latitude,
        "longitude": longitude,
        "archived": is_archived,
        "vtron_ip": None,
        "vtron_user": None,
        "ansible_user": None,
        "geo_location": None,
        "mqtt_prefix": None,
        "created": CREATED,
        "updated": CREATED,
    }


def null_body(kind: str) -> Item:
    """Return the body of a call about a site that the caller may not see: all of it is null."""
    if kind == "site":
        return dict.fromkeys(site_item(0, "", client=""))
    if kind == "weather":
        return dict.fromkeys(WEATHER_KEYS)
    if kind == "timeseries":
        return dict.fromkeys(("point_samples", "next_cursor", "has_more"))
    return {"point_samples": None}
