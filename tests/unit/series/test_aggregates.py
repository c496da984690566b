"""What each aggregate is, and what counts."""

from __future__ import annotations

import json

import pytest

from building_vitals.answers.question import AGGREGATES
from building_vitals.errors import CorruptSegment
from building_vitals.ranges import Range
from building_vitals.series.aggregates import PointAggregation, numbers_of
from building_vitals.series.buckets import Buckets, parse_interval

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def rows(
    samples: str, *aggregates: str, end_ms: int = 4 * HOUR_MS, runs: int = 1, start_ms: int = 0
) -> list[str]:
    """
    Return the rows of hours, as text.

    Args:
        samples: `minute:value`, separated by blanks.
        aggregates: Their names.
        end_ms: The range's end.
        runs: How many runs the samples come in.
        start_ms: The range's begin.
    """
    texts = [
        b"[%d,%b]" % (int(minute) * MINUTE_MS, value.encode())
        for minute, _, value in (each.partition(":") for each in samples.split())
    ]
    buckets = Buckets(parse_interval("1h"), "UTC", Range(start_ms, end_ms))
    aggregation = PointAggregation(aggregates, buckets)
    found = []
    for n in range(runs):
        part = texts[len(texts) * n // runs : len(texts) * (n + 1) // runs]
        if part:
            found.append(aggregation.add(b",".join(part)))
    found.append(aggregation.end())
    text = b",".join(each for each in found if each).decode()
    assert aggregation.count == len(json.loads(f"[{text}]"))
    return text[1:-1].split("],[") if text else []


@pytest.mark.parametrize("runs", [1, 2, 6])
@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        ("mean", ["0,2.5", "3600000,7.0"]),
        ("min", ["0,1.00", "3600000,7"]),
        ("max", ["0,4", "3600000,7"]),
        ("sum", ["0,10.0", "3600000,7"]),
        ("count", ["0,4", "3600000,1"]),
        ("first", ["0,1.00", "3600000,7"]),
        ("last", ["0,2", "3600000,7"]),
        ("delta", ["0,5.0", "3600000,5"]),
        # 10 min of 1, 20 of 3, 10 of 4, 20 of 2; 30 of 2, and 7 until the hour's end.
        ("twa", ["0,2.5", "3600000,4.5"]),
    ],
)
def test_aggregates(aggregate: str, expected: list[str], runs: int) -> None:
    """Each of them, of hours, however the samples come; 2 after 4 is a reset."""
    assert expected == rows("0:1.00 10:3 30:4 40:2 90:7", aggregate, runs=runs)


def test_a_row_has_them_in_the_order_asked_for() -> None:
    """All at once, and each as alone."""
    together = rows("5:1.5 30:2.5", *AGGREGATES)
    alone = [rows("5:1.5 30:2.5", each)[0].split(",")[1] for each in AGGREGATES]
    assert [",".join(["0", *alone])] == together
    assert ["0,2.5,1.5"] == rows("5:1.5 30:2.5", "max", "min")


@pytest.mark.parametrize("state", ["null", "true", '"on"', '"7"', "[9]", '{"a":[9,9]}', "1e999"])
def test_numbers_alone_count(state: str) -> None:
    """Of whatever else there is, nothing is seen: not in counts, nor where a number holds."""
    with_states = f"0:{state} 10:2 20:{state} 30:4 70:{state} 130:{state} 150:5"
    for name in AGGREGATES:
        assert rows("10:2 30:4 150:5", name) == rows(with_states, name)
    assert [] == rows(f"0:{state} 100:{state}", "count")


def test_buckets_without_numbers_are_left_out() -> None:
    """Also where a number would hold through them; it holds into the next one that has some."""
    assert ["0,1.0", "10800000,2.0"] == rows("30:1 210:3", "twa")


def test_nothing_before_the_range_is_known() -> None:
    """The first bucket counts from its first number, and an increase begins with it."""
    start_ms = 30 * MINUTE_MS
    assert ["0,3.0,2"] == rows("40:2 50:4", "twa", "delta", start_ms=start_ms, end_ms=HOUR_MS)


def test_the_last_number_holds_to_the_end_of_the_range() -> None:
    """Not to that of the bucket."""
    assert ["0,2.0"] == rows("0:1 30:3", "twa", end_ms=60 * MINUTE_MS)
    assert ["0,1.5"] == rows("0:1 30:3", "twa", end_ms=40 * MINUTE_MS)


def test_samples_keep_their_digits() -> None:
    """What is one of the samples is as it was sent; of equals it is the first."""
    assert ["0,1.0,5.50,1.0,1"] == rows("0:1.0 10:5.50 20:5.5 30:1", "min", "max", "first", "last")


def test_integers_stay_integers() -> None:
    """Sums and increases of integers are integers, beyond double, too."""
    huge = 2**70
    assert [f"0,{2 * huge + 1},{1}"] == rows(f"0:{huge} 10:{huge + 1}", "sum", "delta")


def test_means_are_rounded_once() -> None:
    """What never changes is its own mean, and tenths add up."""
    assert ["0,0.1,0.1"] == rows("0:0.1 7:0.1 21:0.1", "mean", "twa")
    assert ["0,1.0"] == rows(" ".join(f"{n}:0.1" for n in range(10)), "sum")


def test_what_no_double_holds_is_null() -> None:
    """A sum may be too large, and its mean is not; nothing is ever NaN or infinite."""
    assert ["0,null,1.5e+308,1.5e+308,0.0"] == rows(
        "0:1.5e308 10:1.5e308", "sum", "mean", "twa", "delta"
    )


def test_a_counter_that_begins_again() -> None:
    """What it shows then is what it has counted since; steps between hours count once."""
    found = rows("0:100 50:110 70:5 80:25 130:3", "delta")
    assert ["0,10", "3600000,25", "7200000,3"] == found


def test_what_is_no_run() -> None:
    """A text that is none of ours is refused."""
    with pytest.raises(CorruptSegment):
        numbers_of(b"[1,2", has_raws=False)
