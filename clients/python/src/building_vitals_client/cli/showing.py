"""Tables, JSON and progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from building_vitals_client.progress import OnProgress, Progress


def print_json(value: object) -> None:
    """Write a value as JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], title: str = "") -> None:
    """Write rows as a table; what a row lacks is left empty, and no text is cut."""
    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        cells = [row.get(name) for name in columns]
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    # Names may hold brackets, which rich would take for markup.
    Console(markup=False, highlight=False).print(table)


@contextmanager
def shown_progress() -> Iterator[OnProgress]:
    """Give what shows progress on standard error, where that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    parts = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Bars(*parts, TimeElapsedColumn(), console=console, transient=True) as bars:
        yield _Shown(bars)


class _Shown:
    """One bar, for one request."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task("asking", total=None, state="")

    def __call__(self, progress: Progress) -> None:
        """Show how far it is."""
        job = progress.job
        if progress.stage == "waiting" and job is not None:
            self._bars.update(
                self._task,
                description=job.job_id,
                total=100,
                completed=job.progress,
                state=f"{job.status}, {job.samples_count:,} of {job.estimated_size:,} samples",
            )
        else:
            self._bars.update(
                self._task,
                description="receiving",
                total=None,
                state=f"{progress.received_bytes / 1e6:.1f} MB",
            )
