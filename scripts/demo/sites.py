"""
The demo sites: their equipment, points and names.

Separate from what sensors read, because this is where one looks for a site or a point.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from demo.building import Climate, CounterSeries, Kind, SensorSeries
from demo.instants import BUCKET_MS, DAY_MS, SECOND_MS
from demo.items import point_item, site_item
from demo.kinds import (
    METERS,
    ODD,
    ODD_DEVICE,
    PLANT,
    WEATHER,
    WEATHER_SERVICE,
    ZONE,
    as_strings,
)
from demo.sources import GridSource, Item
from demo.traits import FAITHFUL, Traits

FIRST_MS = 1_640_995_200_000  # 2022-01-01: nothing was collected before
CLIENT = "demo"
POINTS_MAX = 50_000
UNITS_MAX = 1000
WEATHER_DEVICE = "weather"
# Numbers that leave those of the other devices, and so the names of their points, as they are.
NUMBERED_APART = {WEATHER_DEVICE: 998, ODD_DEVICE: 999}


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """
    A demo site.

    Attributes:
        point_count: How many points it has.
        meter_s, plant_s, zone_s: Collection intervals.
        silent_count: How many of the points, the last ones, are configured but never collected.
        is_even: All points have *zone_s*, whatever their kind is collected at elsewhere.
    """

    number: int
    name: str
    nice_name: str
    address: str
    latitude: float
    longitude: float
    point_count: int
    meter_s: int
    plant_s: int
    zone_s: int
    climate: Climate = field(repr=False)
    silent_count: int = 1
    is_even: bool = False


SITES = (
    SiteSpec(
        *(1, "maple-office", "Maple Street Office", "12 Maple Street, Madison WI", 43.07, -89.40),
        *(40, 60, 300, 300),
        Climate(11, 48, 26, -6, 0.05, 0.1),
    ),
    SiteSpec(
        *(2, "north-campus", "North Campus", "4200 North Avenue, Pittsburgh PA", 40.44, -79.99),
        *(1000, 300, 300, 300),
        Climate(22, 53, 22, -5, 0.1, 0.35),
    ),
    SiteSpec(
        *(3, "river-hospital", "River Valley Hospital", "1 Quay Road, Bristol", 51.45, -2.59),
        *(260, 30, 60, 300),
        Climate(33, 51, 12, 0, 0.55, 0.9),
    ),
    SiteSpec(
        *(4, "harbor-campus", "Harbor Campus", "900 Harbor Drive, Baltimore MD", 39.28, -76.61),
        *(2474, 300, 300, 300),
        Climate(44, 56, 21, -5, 0.15, 0.3),
        silent_count=300,
        is_even=True,
    ),
    SiteSpec(
        *(5, "mill-works", "Mill Works", "7 Mill Lane, Lowell MA", 42.65, -71.32),
        *(400, 300, 300, 300),
        Climate(55, 50, 23, -5, 0.05, 0.2),
        silent_count=0,
        is_even=True,
    ),
)


def even_site(number: int, name: str, point_count: int, interval_s: int) -> SiteSpec:
    """
    Return a site whose points are all collected at the same times.

    Args:
        number: Its id.
        name: Its name.
        point_count: From 1 to POINTS_MAX.
        interval_s: Divides the day, and five minutes if it is shorter.

    Raises:
        ValueError: A number is not allowed.
    """
    if not 1 <= point_count <= POINTS_MAX:
        raise ValueError(f"points must be from 1 to {POINTS_MAX}: {point_count}")
    interval_ms = interval_s * SECOND_MS
    whole_ms = BUCKET_MS if interval_ms < BUCKET_MS else DAY_MS
    if interval_ms < 1 or whole_ms % interval_ms:
        raise ValueError(f"interval must divide five minutes or the day: {interval_s}")
    climate = Climate(number * 11, 52, 22, -5, 0.1, 0.3)
    return SiteSpec(
        *(number, name, name, "", 40.0, -75.0, point_count, interval_s, interval_s, interval_s),
        climate,
        silent_count=0,
        is_even=True,
    )


def _equipment(spec: SiteSpec) -> Iterator[tuple[str, Kind, int]]:
    """Yield device, kind and interval in seconds, almost without end: a site takes some."""
    for kind in WEATHER_SERVICE:
        yield WEATHER_DEVICE, kind, spec.plant_s
    for kind in WEATHER:
        yield "Weather Station", kind, spec.plant_s
    for kind in METERS:
        yield "Electrical Room 001", kind, spec.meter_s
    for kind in ODD:
        yield ODD_DEVICE, kind, spec.zone_s
    for unit in range(1, UNITS_MAX):
        for kind in PLANT:
            yield f"Air Handling Unit AHU-{unit:02d}", kind, spec.plant_s
        for zone in range(1, 13):
            for kind in ZONE:
                yield f"Level {unit:02d} VAV-{unit:02d}-{zone:02d}", kind, spec.zone_s


def _name(spec: SiteSpec, device: str, device_number: int, kind: Kind) -> str:
    if device == WEATHER_DEVICE:
        return f"{spec.name}/{WEATHER_DEVICE}/{kind.label}"
    address, number = _network(spec, device_number)
    return f"{spec.name}/{address}-{number}/{device}/{kind.label}"


def _network(spec: SiteSpec, device_number: int) -> tuple[str, int]:
    """Return the address and the BACnet number of a device."""
    address = f"10.{spec.number}.{device_number // 40 + 11}.{device_number % 40 + 2}"
    return address, int(f"{spec.number}{device_number:04d}")


def _bacnet_data(spec: SiteSpec, device: str, device_number: int, kind: Kind, index: int) -> Item:
    address, number = _network(spec, device_number)
    return {
        "device_address": address,
        "device_id": number,
        "device_name": device,
        "object_type": kind.point_type,
        "object_index": index,
        "object_name": kind.label,
    }


def demo_site(spec: SiteSpec, traits: Traits = FAITHFUL) -> tuple[Item, GridSource]:
    """Return a site's item in the list of sites, and its samples."""
    site = site_item(
        spec.number,
        spec.name,
        client=CLIENT,
        nice_name=spec.nice_name,
        address=spec.address,
        latitude=spec.latitude,
        longitude=spec.longitude,
    )
    points: list[Item] = []
    series: list[SensorSeries] = []
    devices: dict[str, int] = {}
    for number, (device, kind, equipment_s) in enumerate(
        islice(_equipment(spec), spec.point_count), start=1
    ):
        device_number = NUMBERED_APART.get(device)
        if device_number is None:
            device_number = devices.setdefault(device, len(devices))
        name = _name(spec, device, device_number, kind)
        interval_s = spec.zone_s if spec.is_even else kind.interval_s or equipment_s
        is_collected = number <= spec.point_count - spec.silent_count
        is_weather = device == WEATHER_DEVICE
        points.append(
            point_item(
                number,
                name,
                site,
                interval_s=interval_s,
                is_collected=is_collected,
                point_type=WEATHER_DEVICE if is_weather else "bacnet",
                marker_tags=["point", "his", "sensor" if "Input" in kind.point_type else "cmd"],
                kv_tags={"unit": kind.unit, "kind": "Str" if kind.states else "Number"},
                bacnet_data=None
                if is_weather
                else _bacnet_data(spec, device, device_number, kind, number),
            )
        )
        if is_collected:
            series_class = CounterSeries if kind.is_counter else SensorSeries
            read = as_strings(kind) if traits.values == "strings" else kind
            series.append(series_class(name, spec.climate, read, interval_s * SECOND_MS))
    return site, GridSource(points, series, first_ms=FIRST_MS)
