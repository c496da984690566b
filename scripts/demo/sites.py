"""
The three demo sites: their equipment, points and names.

Separate from what sensors read, because this is where one looks for a site or a point.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from demo.building import Climate, CounterSeries, Kind, SensorSeries
from demo.instants import SECOND_MS
from demo.sources import GridSource, Item

FIRST_MS = 1_640_995_200_000  # 2022-01-01: nothing was collected before

_ON_OFF = ((0, '"0"'), (30, '"1"'))
_IS_ON = ((0, "false"), (30, "true"))
_OCCUPANCY = ((0, '"unoccupied"'), (25, '"standby"'), (60, '"occupied"'))
_ALARM = ((0, '"normal"'), (96, '"in alarm"'))


def _states(
    label: str,
    states: tuple[tuple[float, str], ...],
    formula: Callable[[float, float], float] = lambda _, present: 100 * present,
) -> Kind:
    """Return a kind whose states follow a measure from 0 to 100, of occupancy if not told."""
    return Kind(label, "multiStateValue", "", formula, decimals=0, noise=2, spread=0, states=states)


WEATHER = (
    Kind("Outdoor Air Temperature", "analogInput", "°F", lambda o, _: o, -40, 130, spread=0),
    Kind(
        "Outdoor Air Relative Humidity",
        "analogInput",
        "%",
        lambda o, _: 95 - 0.55 * o,
        decimals=1,
        interval_s=900,
    ),
)
METERS = (
    Kind(
        "Main Meter.Active Power",
        "analogInput",
        "kW",
        lambda o, p: 80 + 140 * p + 1.8 * max(o - 65, 0) + 0.6 * max(45 - o, 0),
        0,
        600,
        noise=150,
        spread=1000,
    ),
    Kind(
        "Main Meter.Active Energy, Total",
        "accumulator",
        "kWh",
        lambda _, p: 80 + 140 * p,
        spread=0,
        interval_s=900,
        is_counter=True,
    ),
    Kind(
        "Gas Meter.Volume, Total",
        "accumulator",
        "m3",
        lambda _, p: 4 + 3 * p,
        spread=0,
        interval_s=3600,
        is_counter=True,
    ),
    Kind(
        "Panel DP-1.Active Power",
        "analogInput",
        "kW",
        lambda _, p: 6 + 22 * p,
        0,
        80,
        noise=60,
        spread=300,
    ),
)
PLANT = (
    Kind("Supply Air Temperature", "analogInput", "°F", lambda _, p: 68 - 13 * p, 40, 110),
    Kind("Return Air Temperature", "analogInput", "°F", lambda _, p: 70 + 4 * p, 40, 110),
    Kind(
        "Cooling Coil Valve Position",
        "analogOutput",
        "%",
        lambda o, p: 2.4 * (o - 58) * (0.2 + 0.8 * p),
        decimals=1,
        noise=12,
        spread=30,
    ),
    Kind(
        "Heating Coil Valve Position",
        "analogOutput",
        "%",
        lambda o, p: 2.1 * (52 - o) * (0.3 + 0.7 * p),
        decimals=1,
        noise=12,
        spread=30,
    ),
    Kind(
        "Supply Fan Speed Feedback",
        "analogInput",
        "%",
        lambda _, p: 95 * p - 4,
        decimals=1,
        noise=8,
        spread=40,
    ),
    _states("Supply Fan Status", _ON_OFF),
    _states("Unit Enable Command", _IS_ON),
    _states("Schedule, Occupancy State", _OCCUPANCY),
    _states("Freeze Protection Alarm", _ALARM, lambda o, _: 95 - (o - 10)),
)
ZONE = (
    Kind(
        "Zone Air Temperature, Wall Sensor",
        "analogInput",
        "°F",
        lambda o, p: 69.5 + 2.6 * p + 0.035 * (o - 60),
        40,
        110,
    ),
    Kind(
        "Effective Cooling Setpoint",
        "analogValue",
        "°F",
        lambda _, p: 78.0 - 4.0 * round(p),
        40,
        110,
        decimals=1,
        noise=0,
        spread=5,
        is_quoted=False,
    ),
    Kind(
        "Damper Position",
        "analogOutput",
        "%",
        lambda o, p: 18 + 55 * p + 0.3 * (o - 60),
        decimals=1,
        noise=25,
        spread=60,
    ),
    Kind(
        "Discharge Air Flow",
        "analogInput",
        "cfm",
        lambda _, p: 120 + 640 * p,
        0,
        2000,
        decimals=0,
        noise=15,
        spread=90,
    ),
    Kind(
        "Carbon Dioxide Concentration",
        "analogInput",
        "ppm",
        lambda _, p: 415 + 390 * p,
        380,
        2000,
        decimals=0,
        noise=12,
        spread=40,
    ),
    Kind(
        "Reheat Valve Position",
        "analogOutput",
        "%",
        lambda o, p: 1.5 * (48 - o) * p,
        decimals=1,
        noise=15,
        spread=40,
    ),
    _states("Occupancy Mode", _OCCUPANCY),
)


@dataclass(frozen=True, slots=True)
class SiteSpec:
    """
    A demo site.

    Attributes:
        point_count: How many points it has; the last one is configured but never collected.
        meter_s, plant_s, zone_s: Collection intervals.
    """

    number: int
    name: str
    nice_name: str
    client: str
    latitude: float
    longitude: float
    point_count: int
    meter_s: int
    plant_s: int
    zone_s: int
    climate: Climate = field(repr=False)


SITES = (
    SiteSpec(
        1,
        "maple-office",
        "Maple Street Office",
        "demo",
        43.07,
        -89.40,
        40,
        60,
        300,
        300,
        Climate(11, 48, 26, -6, 0.05, 0.1),
    ),
    SiteSpec(
        2,
        "north-campus",
        "North Campus",
        "demo",
        40.44,
        -79.99,
        1000,
        300,
        300,
        300,
        Climate(22, 53, 22, -5, 0.1, 0.35),
    ),
    SiteSpec(
        3,
        "river-hospital",
        "River Valley Hospital",
        "demo",
        51.45,
        -2.59,
        260,
        30,
        60,
        300,
        Climate(33, 51, 12, 0, 0.55, 0.9),
    ),
)


def _equipment(spec: SiteSpec) -> Iterator[tuple[str, Kind, int]]:
    """Yield device, kind and interval in seconds, without end: a site takes what it needs."""
    for kind in WEATHER:
        yield "Weather Station", kind, spec.plant_s
    for kind in METERS:
        yield "Electrical Room 001", kind, spec.meter_s
    for unit in range(1, 1000):
        for kind in PLANT:
            yield f"Air Handling Unit AHU-{unit:02d}", kind, spec.plant_s
        for zone in range(1, 13):
            for kind in ZONE:
                yield f"Level {unit:02d} VAV-{unit:02d}-{zone:02d}", kind, spec.zone_s


def _network(spec: SiteSpec, device_number: int) -> str:
    host = device_number // 40 + 11
    return f"10.{spec.number}.{host}.{device_number % 40 + 2}-{spec.number}{device_number:04d}"


def _point(number: int, name: str, kind: Kind, interval_s: int, *, is_collected: bool) -> Item:
    return {
        "id": number,
        "name": name,
        "collect_interval": interval_s,
        "collect_enabled": is_collected,
        "point_type": "bacnet",
        "marker_tags": ["point", "his", "sensor" if "Input" in kind.point_type else "cmd"],
        "kv_tags": {"unit": kind.unit, "kind": "Str" if kind.states else "Number"},
        "bacnet_data": {"object_type": kind.point_type, "object_index": number},
    }


def demo_site(spec: SiteSpec) -> tuple[Item, GridSource]:
    """Return a site's item in the list of sites, and its samples."""
    points: list[Item] = []
    series: list[SensorSeries] = []
    devices: dict[str, str] = {}
    for number, (device, kind, equipment_s) in enumerate(
        islice(_equipment(spec), spec.point_count), start=1
    ):
        network = devices.setdefault(device, _network(spec, len(devices)))
        name = f"{spec.name}/{network}/{device}/{kind.label}"
        interval_s = kind.interval_s or equipment_s
        is_collected = number < spec.point_count
        points.append(_point(number, name, kind, interval_s, is_collected=is_collected))
        if is_collected:
            series_class = CounterSeries if kind.is_counter else SensorSeries
            series.append(series_class(name, spec.climate, kind, interval_s * SECOND_MS))
    return site_item(spec), GridSource(points, series, first_ms=FIRST_MS)


def site_item(spec: SiteSpec) -> Item:
    """Return a site as the list of sites shows it."""
    return {
        "id": spec.number,
        "name": spec.name,
        "nice_name": spec.nice_name,
        "client": spec.client,
        "latitude": spec.latitude,
        "longitude": spec.longitude,
        "archived": False,
    }
