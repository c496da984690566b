"""
The kinds of sensors that the demo sites have, by equipment.

Separate from the sites, because this is where one looks for what a sensor reads.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from demo.building import Kind

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


# What a weather service says of a site; each is the point `{site}/weather/{label}`.
WEATHER_SERVICE = (
    Kind("temp", "weather", "°F", lambda o, _: o, -40, 130, spread=0, interval_s=900),
    Kind("humidity", "weather", "%", lambda o, _: 95 - 0.55 * o, spread=0, interval_s=900),
    Kind("wind_speed", "weather", "mph", lambda o, _: 4 + o / 9, 0, 80, spread=0, interval_s=900),
    Kind("clouds", "weather", "%", lambda o, _: 90 - o, decimals=0, spread=0, interval_s=900),
)
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
# Names that not every client gets right: a colon, a tilde, letters beyond ASCII, and much text.
ODD_DEVICE = "Gebäude 4: Lüftung ~ Süd"
ODD = (
    Kind("Zulufttemperatur, °C", "analogInput", "°C", lambda o, p: 18 + 3 * p + o / 60, 0, 60),
    Kind(
        "Mean of Zone Air Temperatures: "
        + " ~ ".join(
            f"Room {number} {room}"
            for number, room in enumerate(
                (
                    "Lobby",
                    "Kitchen",
                    "Auditorium",
                    "Library",
                    "Workshop",
                    "Archive",
                    "Laboratory",
                    "Nursery",
                    "Café",
                    "Chapel",
                    "Gymnasium",
                    "Cloakroom",
                ),
                101,
            )
        ),
        "analogValue",
        "°F",
        lambda o, p: 69.5 + 2.6 * p + 0.035 * (o - 60),
        40,
        110,
    ),
)


@lru_cache
def as_strings(kind: Kind) -> Kind:
    """Return a kind whose readings are all JSON strings."""
    states = tuple(
        (least, text if text.startswith('"') else json.dumps(text)) for least, text in kind.states
    )
    return replace(kind, is_quoted=True, states=states)
