"""
What the demo sites' sensors read: weather, occupancy and the equipment that follows them.

Every value is a function of site, point and time alone, so that the same question has the same
answer in every process. Values are looked up in tables of ready JSON texts: the cost of a sample is
two additions of integers and two list look-ups.
"""

import json
import math
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from demo.instants import BUCKET_MS, DAY_MS, HOUR_MS

SLOTS_PER_WEEK = 7 * DAY_MS // BUCKET_MS
# The table of a kind reaches this far beyond its limits on both sides, with the limits' texts, so
# that noise and a point's own offset need no clamping.
TABLE_MARGIN = 1200
NOISE_COUNT = 10_007
BLOCK_SAMPLES_MAX = 2880
NULL_EVERY = 397
LUNCH_HOUR = 12
WORKING_DAYS = 5
COUNTER_START_H = 438_300  # 2020-01-01, in hours since 1970
HOURS_PER_YEAR = 8766


@dataclass(frozen=True, eq=False)
class Climate:
    """
    The weather and the working hours of a site.

    Attributes:
        mean_f, swing_f: Yearly mean of the outdoor temperature and half its yearly range, °F.
        offset_h: Local time, hours from UTC, the same all year.
        night, weekend: Occupancy outside working hours and on days off, 0 to 1.
    """

    seed: int
    mean_f: float
    swing_f: float
    offset_h: int
    night: float
    weekend: float


@dataclass(frozen=True, eq=False)
class Kind:
    """
    A kind of sensor.

    Attributes:
        label: End of the point's name.
        point_type: As BACnet names it.
        unit: For the point's tags.
        formula: Reading from outdoor temperature (°F) and occupancy (0 to 1).
        low, high: Limits of the reading.
        decimals: How many the text has.
        noise, spread: Random part of a sample, fixed offset of a point; in last digits.
        states: For kinds that are no numbers, (at least, JSON text) ascending.
        is_quoted: Numbers travel as strings, as most of the upstream's do.
        interval_s: Overrides the equipment's interval.
        is_counter: Readings are summed up and never fall.
    """

    label: str
    point_type: str
    unit: str
    formula: Callable[[float, float], float]
    low: float = 0
    high: float = 100
    decimals: int = 2
    noise: int = 20
    spread: int = 150
    states: tuple[tuple[float, str], ...] = ()
    is_quoted: bool = True
    interval_s: int | None = None
    is_counter: bool = False


def mix(seed: int, number: int) -> int:
    """Return 32 well mixed bits of two integers."""
    bits = (seed * 0x9E3779B1 + number * 0x85EBCA6B + 0x27D4EB2F) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    bits = ((bits ^ (bits >> 12)) * 0x297A2D39) & 0xFFFFFFFF
    return bits ^ (bits >> 15)


@lru_cache(maxsize=64)
def _texts(kind: Kind) -> list[str]:
    """Return the JSON texts of a kind's readings, from *low* to *high* in last digits."""
    unit = 10**kind.decimals
    low, high = round(kind.low * unit), round(kind.high * unit)
    texts = []
    for digits in range(low, high + 1):
        if kind.states:
            text = [state for least, state in kind.states if digits / unit >= least][-1]
        else:
            text = f"{digits / unit:.{kind.decimals}f}"
            text = json.dumps(text) if kind.is_quoted else text
        texts.append(text)
    return texts[:1] * TABLE_MARGIN + texts + texts[-1:] * TABLE_MARGIN


@lru_cache(maxsize=16)
def _noise(most: int) -> list[int]:
    """Return a ring of integers from -most to most, lengthened by a block."""
    chance = random.Random(most)  # noqa: S311 - made-up data
    ring = [round(chance.triangular(-most, most)) for _ in range(NOISE_COUNT)]
    return ring + ring[:BLOCK_SAMPLES_MAX]


@lru_cache(maxsize=8)
def _occupancy(climate: Climate) -> list[float]:
    """Return the occupancy, 0 to 1, of each five minutes of a week that starts on Monday."""
    slots = []
    for slot in range(SLOTS_PER_WEEK):
        day, hour = divmod(slot * BUCKET_MS / HOUR_MS, 24)
        rise = min(max((hour - 6.5) / 2, 0), 1)
        fall = min(max((18.5 - hour) / 2, 0), 1)
        present = min(rise, fall) * (0.85 if int(hour) == LUNCH_HOUR else 1)
        floor = climate.night
        top = 1.0 if day < WORKING_DAYS else climate.weekend
        slots.append(floor + (top - floor) * present if top > floor else floor)
    return slots


def _day_mean_f(climate: Climate, day: int) -> float:
    season = -math.cos(2 * math.pi * (day - 20) / 365.25)
    weather = mix(climate.seed, day) % 1000 / 1000 - 0.5
    return climate.mean_f + climate.swing_f * season + 18 * weather


@lru_cache(maxsize=128)
def _conditions(climate: Climate, interval_ms: int, day: int) -> tuple[list[float], list[float]]:
    """Return outdoor temperature and occupancy at each sample time of a day."""
    before, today, after = (_day_mean_f(climate, day + shift) for shift in (-1, 0, 1))
    outdoor = []
    for at in range(0, DAY_MS, interval_ms):
        part = at / DAY_MS
        # The mean of a day holds at noon; in between it changes steadily.
        mean = today + (before - today) * max(0.5 - part, 0) + (after - today) * max(part - 0.5, 0)
        local = part + climate.offset_h / 24
        outdoor.append(mean - 7.5 * math.cos(2 * math.pi * (local - 0.125)))
    week = _occupancy(climate)
    # The epoch began on a Thursday, three days into a week.
    first_ms = (day + 3) * DAY_MS + climate.offset_h * HOUR_MS
    present = [
        week[ms // BUCKET_MS % SLOTS_PER_WEEK]
        for ms in range(first_ms, first_ms + DAY_MS, interval_ms)
    ]
    return outdoor, present


@lru_cache(maxsize=1024)
def _shape(climate: Climate, kind: Kind, interval_ms: int, day: int) -> list[int]:
    """Return the positions in the kind's table at each sample time of a day, without noise."""
    unit = 10**kind.decimals
    low, top = round(kind.low * unit), round((kind.high - kind.low) * unit)
    formula = kind.formula
    outdoor, present = _conditions(climate, interval_ms, day)
    return [
        min(max(round(formula(o, p) * unit) - low, 0), top) + TABLE_MARGIN
        for o, p in zip(outdoor, present, strict=True)
    ]


@lru_cache(maxsize=16_384)
def _outage(seed: int, day: int, one_in: int) -> tuple[int, int] | None:
    """Return the range of the day, ms, in which nothing was collected, if there is one."""
    bits = mix(seed, day)
    if bits % one_in:
        return None
    if bits // one_in % 4 == 0:
        return day * DAY_MS, (day + 1) * DAY_MS
    start_ms = day * DAY_MS + bits // one_in % 1000 * 57_600
    length_ms = (1 + bits // 4096 % 8) * HOUR_MS
    return start_ms, min(start_ms + length_ms, (day + 1) * DAY_MS)


class SensorSeries:
    """
    The readings of one sensor.

    Args:
        interval_ms: Divides the day.
    """

    SITE_OUTAGE_ONE_IN = 90
    POINT_OUTAGE_ONE_IN = 60

    def __init__(self, name: str, climate: Climate, kind: Kind, interval_ms: int) -> None:
        self.name = name
        self.interval_ms = interval_ms
        self._climate = climate
        self._kind = kind
        self._seed = zlib.crc32(name.encode())
        self._offset = self._seed % (2 * kind.spread + 1) - kind.spread if kind.spread else 0

    def texts(self, first: int, count: int) -> list[str | None]:
        """Return the JSON texts of *count* readings from number *first* on; None in outages."""
        texts: list[str | None] = []
        per_day = DAY_MS // self.interval_ms
        days = range(first // per_day, (first + count - 1) // per_day + 1)
        for day in days:
            number = max(first, day * per_day)
            length = min((day + 1) * per_day, first + count) - number
            texts += self._readings(day, number, length)
        # Some sensors read null now and then, always at the same times.
        if self._seed % 7 == 0:
            for at in range(-(first + self._seed) % NULL_EVERY, count, NULL_EVERY):
                texts[at] = "null"
        for day in days:
            for seed, one_in in (
                (self._climate.seed, self.SITE_OUTAGE_ONE_IN),
                (self._seed, self.POINT_OUTAGE_ONE_IN),
            ):
                outage = _outage(seed, day, one_in)
                if outage:
                    start, end = (-(-ms // self.interval_ms) - first for ms in outage)
                    start = min(max(start, 0), count)
                    end = min(max(end, start), count)
                    texts[start:end] = [None] * (end - start)
        return texts

    def _readings(self, day: int, first: int, count: int) -> list[str]:
        table, offset = _texts(self._kind), self._offset
        at = first % (DAY_MS // self.interval_ms)
        shape = _shape(self._climate, self._kind, self.interval_ms, day)[at : at + count]
        start = (first + self._seed) % NOISE_COUNT
        noise = _noise(self._kind.noise)[start : start + count]
        return [table[s + n + offset] for s, n in zip(shape, noise, strict=True)]


class CounterSeries(SensorSeries):
    """The readings of one meter that counts up and never falls."""

    def __init__(self, name: str, climate: Climate, kind: Kind, interval_ms: int) -> None:
        super().__init__(name, climate, kind, interval_ms)
        self._scale = 1 + self._seed % 100 / 100
        self._sums = [0.0]
        for present in _occupancy(climate):
            reading = kind.formula(climate.mean_f, present)
            self._sums.append(self._sums[-1] + reading * BUCKET_MS / HOUR_MS)

    def _readings(self, _day: int, first: int, count: int) -> list[str]:
        return [
            f'"{self._total((first + index) * self.interval_ms):.1f}"' for index in range(count)
        ]

    def _total(self, ms: int) -> float:
        """Return the sum up to *ms*: whole weeks, the week begun, and more of it in winter."""
        hours = ms / HOUR_MS - COUNTER_START_H
        local = ms + 3 * DAY_MS + self._climate.offset_h * HOUR_MS
        weeks, slot = divmod(local // BUCKET_MS, SLOTS_PER_WEEK)
        since = weeks - (COUNTER_START_H // 168)
        # The derivative of the seasonal part is at least zero, so the sum never falls.
        season = hours + HOURS_PER_YEAR / 2 / math.pi * math.sin(
            2 * math.pi * hours / HOURS_PER_YEAR
        )
        return self._scale * (self._sums[-1] * since + self._sums[slot] + 5 * season)
