"""
Columns of times and values, for the makers of DataFrames; needs numpy.

Floats where they are exact, and nowhere else: a column of text stays text, whole numbers beyond
2^53 stay whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from building_vitals_client.errors import BrokenDownload
from building_vitals_client.samples import (
    EXACT_MAX,
    Sample,
    has_whole_numbers_only,
    read_numbers,
    read_rows,
    widths_are,
    written,
)

Kind = Literal["none", "float", "int", "bool", "text", "mixed"]
Array = npt.NDArray[Any]
_KINDS: dict[frozenset[type], Kind] = {
    frozenset(): "none",
    frozenset({float}): "float",
    frozenset({int}): "int",
    frozenset({bool}): "bool",
    frozenset({str}): "text",
}
_DTYPES: dict[Kind, Any] = {
    "none": np.float64,
    "float": np.float64,
    "int": np.int64,
    "bool": np.bool_,
    "text": object,
    "mixed": object,
}
_FILLERS: dict[Kind, Any] = {
    "none": np.nan,
    "float": np.nan,
    "int": 0,
    "bool": False,
    "text": None,
    "mixed": None,
}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Column:
    """
    Values of one kind.

    Attributes:
        kind: `none` where all are null; `mixed` where no other kind holds all.
        values: float64 (null is NaN), int64, bool, or objects, by the kind.
        nulls: Where there is no value; what `values` has there means nothing.
    """

    kind: Kind
    values: Array
    nulls: Array

    @property
    def has_nulls(self) -> bool:
        """Whether any value is null."""
        return bool(self.nulls.any())

    def texts(self) -> list[str | None]:
        """Return the values as text, for kinds that a library has no type for."""
        return [
            None if null else written(value)
            for value, null in zip(self.values.tolist(), self.nulls.tolist(), strict=True)
        ]

    def objects(self) -> list[Any]:
        """Return the values as Python's; null is None."""
        if not self.has_nulls:
            return list(self.values.tolist())
        return [
            None if null else value
            for value, null in zip(self.values.tolist(), self.nulls.tolist(), strict=True)
        ]

    def spread(self, places: Array, length: int) -> Column:
        """Return a longer column with these values at *places*, and nulls elsewhere."""
        values = np.full(length, _FILLERS[self.kind], dtype=_DTYPES[self.kind])
        nulls = np.ones(length, dtype=np.bool_)
        values[places], nulls[places] = self.values, self.nulls
        return Column(self.kind, values, nulls)

    def of_kind(self, kind: Kind) -> Column:
        """Return the same values as another kind, which `common_kind` has found for them."""
        if kind == self.kind:
            return self
        if self.kind == "none":
            values = np.full(len(self.values), _FILLERS[kind], dtype=_DTYPES[kind])
        elif kind == "mixed":
            values = np.empty(len(self.values), dtype=object)
            values[:] = self.objects()
        else:
            values = self.values.astype(_DTYPES[kind])
            values[self.nulls] = _FILLERS[kind]
        return Column(kind, values, self.nulls)


def read_columns(text: bytes, width: int) -> tuple[Array, list[Column]]:
    """
    Return the times (int64, epoch ms) and the columns of one point.

    Args:
        text: JSON array of arrays.
        width: Values beside the time in each of them.

    Raises:
        BrokenDownload: it is none.
    """
    flat = read_numbers(text, width + 1)
    if flat is not None:
        table = np.array(flat, dtype=np.float64).reshape(-1, width + 1)
        cells = table[:, 1:]
        # Beyond EXACT_MAX two whole numbers may be one float; NaN, which is null, is not beyond.
        if not (np.abs(cells) >= EXACT_MAX).any():
            times = table[:, 0].astype(np.int64)
            is_whole = has_whole_numbers_only(text)
            return times, [_of_floats(cells[:, n], is_whole) for n in range(width)]
    rows = read_rows(text)
    if not widths_are(rows, width + 1):
        raise BrokenDownload(f"the samples do not have {width} values each")
    return _times(rows), [_of_objects([row[n + 1] for row in rows]) for n in range(width)]


def _times(rows: Sequence[Sample]) -> Array:
    if not {type(row[0]) for row in rows} <= {int}:
        raise BrokenDownload("the samples do not begin with a time each")
    return np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))


def _of_floats(cells: Array, is_whole: bool) -> Column:
    values = np.ascontiguousarray(cells)
    nulls = np.isnan(values)
    if nulls.all():
        return Column("none", values, nulls)
    if not is_whole:
        return Column("float", values, nulls)
    return Column("int", np.where(nulls, 0.0, values).astype(np.int64), nulls)


def _of_objects(cells: list[Any]) -> Column:
    kinds = frozenset(map(type, cells)) - {type(None)}
    kind = _KINDS.get(kinds, "mixed")
    if kinds == {int, float} and all(abs(cell) <= EXACT_MAX for cell in cells if type(cell) is int):
        kind = "float"
    if kind == "int" and not all(cell is None or cell in _INT64 for cell in cells):
        kind = "mixed"
    nulls = np.fromiter((cell is None for cell in cells), dtype=np.bool_, count=len(cells))
    values = np.empty(len(cells), dtype=_DTYPES[kind])
    values[:] = [_FILLERS[kind] if cell is None else cell for cell in cells] if cells else []
    return Column(kind, values, nulls)


def common_kind(columns: Iterable[Column]) -> Kind:
    """Return the kind that holds the values of all columns exactly."""
    found = list(columns)
    kinds = {column.kind for column in found} - {"none"}
    if len(kinds) < 2:  # noqa: PLR2004 - nothing to bring together
        return kinds.pop() if kinds else "none"
    whole = [column for column in found if column.kind == "int"]
    if kinds == {"int", "float"} and all(
        not len(each.values) or np.abs(each.values.astype(np.float64)).max() <= EXACT_MAX
        for each in whole
    ):
        return "float"
    return "mixed"


def joined(columns: Sequence[Column]) -> Column:
    """Return one column after the other, as one."""
    kind = common_kind(columns)
    same = [column.of_kind(kind) for column in columns]
    if not same:
        return Column("none", np.empty(0), np.empty(0, dtype=np.bool_))
    return Column(
        kind,
        np.concatenate([column.values for column in same]),
        np.concatenate([column.nulls for column in same]),
    )
