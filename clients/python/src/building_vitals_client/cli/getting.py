"""`bv get`: samples to a file, to a pipe or to a terminal."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from building_vitals_client.cli.outcome import ExitCode, complain
from building_vitals_client.cli.showing import print_table
from building_vitals_client.client import Client
from building_vitals_client.files import FileFormat, whole_file
from building_vitals_client.progress import OnProgress
from building_vitals_client.result import Layout, Timeseries
from building_vitals_client.times import moment

FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".json": "json",
    ".msgpack": "msgpack",
}
PARQUET = ".parquet"
# On a terminal; all of them go to files and pipes.
ROWS_MAX = 20


@dataclass(frozen=True)
class Selection:
    """What `bv get` was asked for."""

    site: str
    points: list[str]
    start: str
    end: str
    options: dict[str, Any]
    layout: Layout | None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments that `timeseries` and `download` share."""
        return self.site, self.points, self.start, self.end


def check_file(file: Path, layout: Layout | None) -> None:
    """
    Refuse a file that could not be written, before anything is asked for.

    Raises:
        ValueError: its name tells no format, its folder is not there, its format is never wide, or
            what writes it is not installed.
    """
    if file.suffix != PARQUET and file.suffix not in FORMATS:
        known = ", ".join([*FORMATS, PARQUET])
        raise ValueError(f"cannot tell the format of {file}: its name must end in {known}")
    if layout == "wide" and file.suffix not in (PARQUET, ".csv"):
        raise ValueError(f"--layout wide is for .csv and {PARQUET}")
    if file.suffix == PARQUET and find_spec("pyarrow") is None:
        raise ValueError(f"{PARQUET} needs building-vitals-client[arrow]")
    if not file.parent.is_dir():
        raise ValueError(f"no such folder: {file.parent}")


def write_file(client: Client, selection: Selection, file: Path, on_progress: OnProgress) -> None:
    """Write samples to a file, whole or not at all."""
    if file.suffix == PARQUET:
        import pyarrow.parquet  # noqa: PLC0415 - an extra

        result = client.timeseries(*selection.arguments, **selection.options, progress=on_progress)
        table = result.to_arrow(selection.layout or "long")
        with whole_file(file) as opened:
            pyarrow.parquet.write_table(table, opened)
        complain(f"{len(result):,} samples in {file}")
        tell_errors(result)
        return
    written = client.download(
        file,
        *selection.arguments,
        **selection.options,
        format=FORMATS[file.suffix],
        layout=selection.layout,
        progress=on_progress,
    )
    complain(f"{written:,} bytes in {file}")


def write_output(
    client: Client, selection: Selection, file_format: FileFormat, on_progress: OnProgress
) -> None:
    """Write samples to standard output, once they are whole."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer"
        client.download(
            file,
            *selection.arguments,
            **selection.options,
            format=file_format,
            layout=selection.layout,
            progress=on_progress,
        )
        with file.open("rb") as opened:
            shutil.copyfileobj(opened, sys.stdout.buffer)
        sys.stdout.flush()


def show(client: Client, selection: Selection, on_progress: OnProgress) -> None:
    """Show the first samples as a table."""
    result = client.timeseries(*selection.arguments, **selection.options, progress=on_progress)
    shown: list[dict[str, Any]] = []
    for point, rows in result.samples.items():
        for row in rows[: ROWS_MAX - len(shown)]:
            values = dict(zip(result.columns, row[1:], strict=True))
            time = moment(row[0]).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            shown.append({"time": time, "point": point, **values})
    print_table(shown, ["time", "point", *result.columns])
    if len(result) > len(shown):
        complain(f"{len(shown)} of {len(result):,} samples; -o FILE or a pipe gets all")
    tell_errors(result)


def tell_errors(result: Timeseries) -> None:
    """
    Say why points have nothing.

    Raises:
        SystemExit: some have.
    """
    for point, error in result.errors.items():
        complain(f"{point}: {error}")
    if result.errors:
        raise SystemExit(ExitCode.INCOMPLETE)
