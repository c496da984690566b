"""How far a request is, for those who show it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from building_vitals_client.documents import Job

Stage = Literal["waiting", "downloading", "done"]


@dataclass(frozen=True)
class Progress:
    """
    How far a request is.

    Attributes:
        stage: `waiting` for a job, `downloading` the answer, `done`.
        job: The job, as it was last heard of; None for a request that is answered at once.
        received_bytes: Of the answer, as they are on the wire.
    """

    stage: Stage
    job: Job | None = None
    received_bytes: int = 0


OnProgress = Callable[[Progress], None]
# True and False: show a bar, or nothing; "auto": a bar where tqdm and a terminal are there.
ProgressOption = OnProgress | bool | Literal["auto"]


def progress_of(option: ProgressOption) -> OnProgress:
    """
    Return what is told of the progress.

    Raises:
        ModuleNotFoundError: a bar is asked for, and tqdm is not installed.
    """
    if callable(option):
        return option
    if option == "auto":
        option = sys.stderr.isatty() and find_spec("tqdm") is not None
    return Bar() if option else _nothing


def _nothing(_: Progress) -> None:
    return None


class Bar:
    """A bar of tqdm, from the moment that a request becomes a job."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm  # noqa: PLC0415 - an extra

        self._tqdm: Any = tqdm
        self._bar: Any = None

    def __call__(self, progress: Progress) -> None:
        """Show the progress."""
        job = progress.job
        if job is None:
            return
        if self._bar is None:
            self._bar = self._tqdm(total=100, unit="%", desc=job.job_id, leave=False)
        self._bar.n = job.progress
        self._bar.set_postfix_str(
            job.status
            if progress.stage == "waiting"
            else f"{progress.received_bytes / 1e6:.1f} MB received"
        )
        if progress.stage == "done" or (job.is_over and job.status != "completed"):
            self._bar.close()
