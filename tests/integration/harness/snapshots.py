"""
The Worker as production starts it: from a snapshot of its memory after the top level has run.

workerd makes and restores such snapshots itself; wrangler runs it without.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from devtools.console import StepFailed
from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream
from integration.harness.client import until
from integration.harness.project_copy import CopyRun, ProjectCopy

SNAPSHOT = "snapshot.bin"
SAVE_S = 120.0


class SnapshotProject:
    """
    A copy of the project, and the snapshot that is made of it.

    Args:
        folder: New; takes all of it.
        tools: The set-up.
        upstream: Where the Worker fetches.
        planted: Python that is put at the end of the entry module.
    """

    def __init__(
        self, folder: Path, tools: Toolchain, upstream: FakeUpstream, *, planted: str = ""
    ) -> None:
        self._copy = ProjectCopy(folder, tools, upstream, planted=planted)
        self.snapshots = folder / "snapshots"
        self.snapshots.mkdir()
        self._place = f"--python-snapshot-dir={self.snapshots}"

    def save(self) -> str:
        """Have a snapshot made, as a deployment does; return what the runtime printed."""
        with self._copy.running("--python-save-snapshot", self._place) as run:
            until((self.snapshots / SNAPSHOT).is_file, SAVE_S, what="snapshot")
        return run.log()

    def refused(self) -> str:
        """Return what the runtime says to a project of which no snapshot can be made."""
        try:
            with self._copy.running("--python-save-snapshot", self._place) as run:
                return run.log()
        except StepFailed as failure:
            return failure.tail

    def restored(self) -> AbstractContextManager[CopyRun]:
        """Run the Worker from the snapshot, with bindings that nobody has used before."""
        return self._copy.running(f"--python-load-snapshot={SNAPSHOT}", self._place)
