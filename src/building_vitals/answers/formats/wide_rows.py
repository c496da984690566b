"""CSV with a column for each point and a row for each instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from building_vitals.answers.formats.csv_rows import csv_cell, csv_cells, csv_columns
from building_vitals.answers.formats.encoder import BodyOptions, TextEncoder
from building_vitals.answers.formats.text_rows import utf8_bytes

# Cells that are put together at a time: some bytes each.
CELLS_MAX = 100_000


class WideCsv(TextEncoder):
    """
    CSV whose header is `time,<point>,<point>,…`, in the order of the request.

    Samples of all points come together, some of the range at a time.
    """

    def __init__(self, points: Sequence[str], *, gzip: bool, columns: Sequence[str] = ()) -> None:
        """
        Args:
            points: The columns.
            gzip: Compress the body.
            columns: Of a row of each point, where it is no sample: with several, a column of the
                table is named `<point> <column>`.
        """
        super().__init__(BodyOptions(len(points), gzip, columns=tuple(columns)))
        names = points
        if len(columns) > 1:
            names = [f"{point} {column}" for point in points for column in columns]
        header = ",".join(["time", *map(csv_cell, names)])
        self._emit(utf8_bytes(f"{header}\r\n"))

    def put(self, texts: Sequence[bytes]) -> Iterator[None]:
        """
        Append the rows of a part of the range; what is pending may be taken between two steps.

        Args:
            texts: The samples of each point in it, as in `decode_samples`; all are later than
                those that have been put in before.

        Raises:
            CorruptSegment: a text is not a run of samples.
        """
        columns = [
            dict(zip(*self._cells(text), strict=True)) if text else dict[str, str]()
            for text in texts
        ]
        empty = "," * (len(self._columns) - 1)
        # Of one length, so that they are in the order of time.
        times = sorted(set[str]().union(*columns))
        rows_max = max(1, CELLS_MAX // len(columns))
        for at in range(0, len(times), rows_max):
            some = times[at : at + rows_max]
            cells = [
                map(column.get, some, repeat(empty)) if column else repeat(empty)
                for column in columns
            ]
            rows = map(",".join, zip(some, *cells, strict=False))
            self._emit(utf8_bytes("\r\n".join(rows) + "\r\n"))
            yield
        self.samples += sum(map(len, columns))

    def _cells(self, text: bytes) -> tuple[list[str], list[str]]:
        return csv_cells(text, len(self._columns)) if self._columns else csv_columns(text)
