"""
Answers as tables, long or wide, before a library gives them its types; needs numpy.

Long: a row per sample, point after point. Wide: a row per instant, a column per point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from building_vitals_client.columns import Array, Column, joined, read_columns


@dataclass(frozen=True)
class LongTable:
    """
    A row per sample.

    Attributes:
        times: int64, epoch milliseconds.
        codes: int32, the point's place in *points*.
        points: Names, in the order asked for.
        columns: By name: `value`, or the aggregates.
    """

    times: Array
    codes: Array
    points: list[str]
    columns: dict[str, Column]


@dataclass(frozen=True)
class WideTable:
    """
    A row per instant.

    Attributes:
        times: int64, epoch milliseconds, ascending.
        columns: By the point's name; where there are several aggregates, by (point, aggregate).
    """

    times: Array
    columns: dict[tuple[str, ...], Column]


def long_table(texts: Mapping[str, bytes], names: Sequence[str]) -> LongTable:
    """
    Return the samples of all points, one below the other.

    Args:
        texts: JSON arrays by point.
        names: Of the values beside the time.
    """
    read = [read_columns(text, len(names)) for text in texts.values()]
    lengths = [len(times) for times, _ in read]
    return LongTable(
        np.concatenate([np.empty(0, dtype=np.int64), *(times for times, _ in read)]),
        np.repeat(np.arange(len(read), dtype=np.int32), lengths),
        list(texts),
        {name: joined([columns[n] for _, columns in read]) for n, name in enumerate(names)},
    )


def wide_table(texts: Mapping[str, bytes], names: Sequence[str]) -> WideTable:
    """Return the samples of all points side by side; see `long_table`."""
    read = {point: read_columns(text, len(names)) for point, text in texts.items()}
    parts = [np.empty(0, dtype=np.int64), *(times for times, _ in read.values())]
    instants = np.unique(np.concatenate(parts))
    columns: dict[tuple[str, ...], Column] = {}
    for point, (times, found) in read.items():
        places = np.searchsorted(instants, times)
        for name, column in zip(names, found, strict=True):
            key = (point,) if len(names) == 1 else (point, name)
            columns[key] = column.spread(places, len(instants))
    return WideTable(instants, columns)
