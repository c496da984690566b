"""Samples become DataFrames exactly: numbers, whole numbers of any size, text, nulls, zones."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from building_vitals_client import Timeseries
from building_vitals_client.errors import BrokenDownload, PointErrors
from building_vitals_client.result import read_timeseries

BIG = 2**53 + 1
HUGE = 12345678901234567890123
HOUR_MS = 3_600_000
# In London the clocks go back on this morning: 00:00 to 03:00 UTC.
AUTUMN_MS = 1_761_436_800_000


def result_of(points: dict[str, str], *, columns: tuple[str, ...] = (), tz: str = "UTC") -> Any:
    """Return the result of an answer with these JSON texts of samples."""
    data = ",".join(
        f'{json.dumps(name)}:{{"samples":{text},"count":{text.count("[") - 1},"error":null}}'
        for name, text in points.items()
    )
    content = f'{{"data":{{{data}}},"_meta":{{"site":"s","cache":{{"status":"miss"}}}}}}'
    return read_timeseries(content.encode(), aggregates=columns, tz=tz)


# Of one point: JSON, samples, dtype of pandas, type of polars.
KINDS: list[tuple[str, list[Any], str, pl.DataType]] = [
    ("[[1,2.5],[2,45.50]]", [2.5, 45.5], "float64", pl.Float64()),
    ("[[1,2.5],[2,null]]", [2.5, None], "float64", pl.Float64()),
    ("[[1,2],[2,3.5]]", [2, 3.5], "float64", pl.Float64()),
    ("[[1,2],[2,-3]]", [2, -3], "int64", pl.Int64()),
    ("[[1,2],[2,null]]", [2, None], "Int64", pl.Int64()),
    (f"[[1,{BIG}],[2,0]]", [BIG, 0], "int64", pl.Int64()),
    (f"[[1,{-(2**63)}],[2,null]]", [-(2**63), None], "Int64", pl.Int64()),
    (f"[[1,{2**63}],[2,0]]", [2**63, 0], "object", pl.String()),
    (f"[[1,{HUGE}],[2,0.5]]", [HUGE, 0.5], "object", pl.String()),
    (f"[[1,{BIG}],[2,0.5]]", [BIG, 0.5], "object", pl.String()),
    ("[[1,1e300],[2,0.1]]", [1e300, 0.1], "float64", pl.Float64()),
    ("[[1,1e400],[2,0.1]]", [Decimal("1e400"), 0.1], "object", pl.String()),
    ('[[1,"on"],[2,"],[3"]]', ["on", "],[3"], "string", pl.String()),
    ('[[1,"on"],[2,null]]', ["on", None], "string", pl.String()),
    ('[[1,"on"],[2,1]]', ["on", 1], "object", pl.String()),
    ("[[1,true],[2,false]]", [True, False], "bool", pl.Boolean()),
    ("[[1,true],[2,null]]", [True, None], "boolean", pl.Boolean()),
    ("[[1,true],[2,1]]", [True, 1], "object", pl.String()),
    ("[[1,null],[2,null]]", [None, None], "float64", pl.Float64()),
    ("[]", [], "float64", pl.Float64()),
]


def plain(values: list[Any]) -> list[Any]:
    """Return a column's values with every kind of null as None."""
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize(("text", "expected", "dtype", "kind"), KINDS, ids=[k[0] for k in KINDS])
def test_every_kind_of_value_is_exact(
    text: str, expected: list[Any], dtype: str, kind: pl.DataType
) -> None:
    """In samples and in each library; where a library has no type for it, it is text."""
    result = result_of({"p": text})
    assert expected == [value for _, value in result.samples["p"]]
    assert list(map(type, expected)) == [type(value) for _, value in result.samples["p"]]
    frame = result.to_pandas()
    assert dtype == str(frame["value"].dtype)
    assert expected == plain(frame["value"].tolist())
    texts = [None if value is None else _written(value) for value in expected]
    shown = texts if kind == pl.String() else expected
    polars = result.to_polars()
    assert kind == polars["value"].dtype
    assert shown == polars["value"].to_list()
    assert shown == result.to_arrow()["value"].to_pylist()
    assert expected == plain(result.to_pandas("wide")["p"].tolist())
    assert shown == result.to_polars("wide")["p"].to_list()


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_long_tables_have_a_row_per_sample() -> None:
    """Time, point, value; points in the order asked for, empty ones among the categories."""
    result = result_of({"b": "[[1000,1.5],[2000,2.5]]", "empty": "[]", "a": "[[1000,7]]"})
    frame = result.to_pandas()
    assert ["b", "b", "a"] == frame["point"].tolist()
    assert ["b", "empty", "a"] == frame["point"].cat.categories.tolist()
    assert "datetime64[ms, UTC]" == str(frame["time"].dtype)
    assert [1000, 2000, 1000] == [round(each.timestamp() * 1000) for each in frame["time"]]
    polars = result.to_polars()
    assert ["time", "point", "value"] == polars.columns
    assert pl.Datetime("ms", "UTC") == polars["time"].dtype
    assert frame["point"].tolist() == polars["point"].to_list()
    arrow = result.to_arrow()
    assert pa.timestamp("ms", tz="UTC") == arrow.schema.field("time").type
    assert polars["value"].to_list() == arrow["value"].to_pylist()
    assert polars["point"].to_list() == arrow["point"].to_pylist()


def test_wide_tables_have_a_row_per_instant() -> None:
    """Each point keeps a type of its own; what it lacks is null."""
    result = result_of({"b": "[[1000,1.5],[3000,2.5]]", "n": "[[2000,7]]", "t": '[[1000,"on"]]'})
    frame = result.to_pandas("wide")
    assert ["b", "n", "t"] == frame.columns.tolist()
    assert "time" == frame.index.name
    assert [1.5, None, 2.5] == plain(frame["b"].tolist())
    assert [None, 7, None] == plain(frame["n"].tolist())
    assert ["float64", "Int64", "string"] == [str(each) for each in frame.dtypes]
    polars = result.to_polars("wide")
    assert [None, 7, None] == polars["n"].to_list()
    assert ["on", None, None] == polars["t"].to_list()
    assert polars.to_dict(as_series=False) == result.to_arrow("wide").to_pydict()


def test_nothing_at_all_is_an_empty_table() -> None:
    """No points with samples: the columns are there."""
    result = result_of({})
    assert (0, 3) == result.to_pandas().shape
    assert (0, 3) == result.to_polars().shape
    assert 0 == result.to_arrow().num_rows
    assert (0, 0) == result.to_pandas("wide").shape
    assert ["time"] == result.to_polars("wide").columns


def test_aggregates_are_columns() -> None:
    """In the order asked for; whole counts stay whole where all values are."""
    text = "[[0,1.5,3],[3600000,2.5,null]]"
    result = result_of({"p": text}, columns=("mean", "count"))
    assert {"p": [(0, 1.5, 3), (HOUR_MS, 2.5, None)]} == result.samples
    frame = result.to_pandas()
    assert ["time", "point", "mean", "count"] == frame.columns.tolist()
    assert [3, None] == plain(frame["count"].tolist())
    wide = result.to_pandas("wide")
    assert [("p", "mean"), ("p", "count")] == wide.columns.tolist()
    assert ["time", "p mean", "p count"] == result.to_polars("wide").columns


def test_the_answer_names_its_columns() -> None:
    """Also where nobody knows what had been asked for, as of a job's result."""
    content = (
        b'{"data":{"p":{"samples":[[0,1,2.5]],"count":1,"error":null}},'
        b'"_meta":{"columns":["count","max"]}}'
    )
    frame = read_timeseries(content, aggregates=(), tz="UTC").to_pandas()
    assert ["time", "point", "count", "max"] == frame.columns.tolist()
    assert [1.0, 2.5] == frame[["count", "max"]].iloc[0].tolist()


def test_an_hour_that_comes_twice_is_two_hours() -> None:
    """Where clocks go back, times keep their offsets and their order, in every library."""
    times = [AUTUMN_MS + n * HOUR_MS for n in range(4)]
    text = json.dumps([[each, n + 0.5] for n, each in enumerate(times)])
    result = result_of({"p": text}, tz="Europe/London")
    expected = ["01:00 BST", "01:00 GMT", "02:00 GMT", "03:00 GMT"]
    assert expected == result.to_pandas()["time"].dt.strftime("%H:%M %Z").tolist()
    assert expected == result.to_polars()["time"].dt.to_string("%H:%M %Z").to_list()
    assert times == [round(each.timestamp() * 1000) for each in result.to_pandas()["time"]]
    shown = result.to_arrow()["time"].to_pylist()
    assert expected == [each.strftime("%H:%M %Z") for each in shown]
    assert "UTC" == str(result.to_pandas(tz="UTC")["time"].dt.tz)


def test_points_with_errors_are_named() -> None:
    """Their reason is at hand, and an exception for those who want one."""
    content = (
        b'{"data":{"x":{"samples":[],"count":0,"error":"unknown point"},'
        b'"p":{"samples":[[1,2]],"count":1,"error":null,"level":"raw"}},"_meta":{}}'
    )
    result = read_timeseries(content, aggregates=(), tz="UTC")
    assert {"x": "unknown point"} == result.errors
    with pytest.raises(PointErrors, match="x: unknown point"):
        result.raise_for_points()
    fine = result_of({"p": "[[1,2]]"})
    assert fine.raise_for_points() is fine
    assert "<Timeseries s: 1 points, 1 samples, miss>" == repr(fine)


@pytest.mark.parametrize(
    "text", ["[[1,2],[3]]", "[[1,2,3]]", "[1,2]", "[[1]]", '{"a":1}', '[["a",[1]],[2,{}]]']
)
def test_what_are_no_samples_is_refused(text: str) -> None:
    """Nothing of another shape becomes a table."""
    result = Timeseries({}, result_of({"p": text}).points)
    with pytest.raises(BrokenDownload):
        result.to_pandas()


def test_missing_ranges_are_times() -> None:
    """What a stale answer lacks, as datetimes."""
    cache = {"status": "stale", "missing": [[0, HOUR_MS]]}
    result = Timeseries({"cache": cache}, {})
    assert result.is_stale
    ((start, end),) = result.missing
    assert ("1970-01-01T00:00:00+00:00", HOUR_MS / 1000) == (start.isoformat(), end.timestamp())


def test_a_followed_site_says_up_to_when_it_is_known() -> None:
    """A datetime in UTC; None of a site that nobody follows."""
    followed = Timeseries({"cache": {"status": "hit", "knownUntil": 1_735_689_600_000}}, {})
    assert followed.known_until is not None
    assert "2025-01-01T00:00:00+00:00" == followed.known_until.isoformat()
    assert Timeseries({"cache": {"status": "hit"}}, {}).known_until is None
