"""DataFrames and Arrow tables; each library is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from building_vitals_client.columns import Column
from building_vitals_client.tables import LongTable, WideTable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


def column_name(key: tuple[str, ...]) -> str:
    """Return the name of a wide column where names are single texts."""
    return " ".join(key)


def long_pandas(table: LongTable, tz: str) -> pd.DataFrame:
    """Return the columns `time`, `point` (categorical) and the values."""
    import pandas as pd  # noqa: PLC0415 - an extra

    return pd.DataFrame(
        {
            "time": _pandas_times(table.times, tz),
            "point": pd.Categorical.from_codes(table.codes, categories=table.points),
            **{name: _pandas_array(column) for name, column in table.columns.items()},
        }
    )


def wide_pandas(table: WideTable, tz: str) -> pd.DataFrame:
    """Return a column per point, with the instants as index."""
    import pandas as pd  # noqa: PLC0415 - an extra

    index = _pandas_times(table.times, tz).rename("time")
    columns = {key: _pandas_array(column) for key, column in table.columns.items()}
    if all(len(key) == 1 for key in columns):
        return pd.DataFrame({key[0]: column for key, column in columns.items()}, index=index)
    return pd.DataFrame(columns, index=index)


def _pandas_times(times: Any, tz: str) -> Any:
    import pandas as pd  # noqa: PLC0415 - an extra

    return pd.DatetimeIndex(times.view("datetime64[ms]")).tz_localize("UTC").tz_convert(tz)


def _pandas_array(column: Column) -> Any:
    import pandas as pd  # noqa: PLC0415 - an extra

    if column.kind == "text":
        return pd.array(column.objects(), dtype="string")
    if column.kind in ("int", "bool") and column.has_nulls:
        kinds: dict[str, Any] = {"int": pd.arrays.IntegerArray, "bool": pd.arrays.BooleanArray}
        return kinds[column.kind](column.values, column.nulls)
    return column.values


def long_polars(table: LongTable, tz: str) -> pl.DataFrame:
    """Return the columns `time`, `point` (an Enum) and the values."""
    import polars as pl  # noqa: PLC0415 - an extra

    names = pl.Series(table.points, dtype=pl.String)
    points = names.gather(table.codes.astype("int64")).cast(pl.Enum(table.points))
    return pl.DataFrame(
        {
            "time": _polars_times(table.times, tz),
            "point": points,
            **{name: _polars_series(column) for name, column in table.columns.items()},
        }
    )


def wide_polars(table: WideTable, tz: str) -> pl.DataFrame:
    """Return the column `time` and a column per point."""
    import polars as pl  # noqa: PLC0415 - an extra

    return pl.DataFrame(
        [
            _polars_times(table.times, tz).alias("time"),
            *(
                _polars_series(column).alias(column_name(key))
                for key, column in table.columns.items()
            ),
        ]
    )


def _polars_times(times: Any, tz: str) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - an extra

    return pl.Series(times).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(tz)


def _polars_series(column: Column) -> pl.Series:
    import polars as pl  # noqa: PLC0415 - an extra

    if column.kind in ("text", "mixed"):
        return pl.Series(column.texts(), dtype=pl.String)
    if not column.has_nulls:
        return pl.Series(column.values)
    present = pl.Series(~column.nulls)
    values = pl.Series(column.values)
    return pl.select(pl.when(present).then(values).otherwise(None)).to_series()


def long_arrow(table: LongTable, tz: str) -> pa.Table:
    """Return the columns `time`, `point` (a dictionary) and the values."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.table(
        {
            "time": _arrow_times(table.times, tz),
            "point": pa.DictionaryArray.from_arrays(
                pa.array(table.codes), pa.array(table.points, type=pa.string())
            ),
            **{name: _arrow_array(column) for name, column in table.columns.items()},
        }
    )


def wide_arrow(table: WideTable, tz: str) -> pa.Table:
    """Return the column `time` and a column per point."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    names = ["time", *map(column_name, table.columns)]
    arrays = [_arrow_times(table.times, tz), *map(_arrow_array, table.columns.values())]
    return pa.Table.from_arrays(arrays, names=names)


def _arrow_times(times: Any, tz: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.array(times).cast(pa.timestamp("ms", tz=tz))


def _arrow_array(column: Column) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if column.kind in ("text", "mixed"):
        return pa.array(column.texts(), type=pa.string())
    return pa.array(column.values, mask=column.nulls)
