"""
A start of code that has started before is a quick one: its memory is restored, as in production.

Starting CPython and importing the Worker takes a core most of ten seconds; workerd can save the
memory once that is done, and begin with it the next time. A snapshot holds the code that it was
made of. So the wrapper of workerd takes one only while nothing of the code has changed since before
the run began that made it, by the time that a file system notes by itself (ctime). What is started
over in a run, because its code was edited, starts without.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from pathlib import Path

from devtools.layout import ROOT, SNAPSHOTS

KEPT, OWN, PLACE = "SNAPSHOT_KEPT", "SNAPSHOT_OWN", "SNAPSHOT_ROOT"
STAMP = "stamp"
# workerd's own name for it.
SNAPSHOT = "snapshot.bin"
# What the memory depends on, seen from the root. Byte code lies beside the source, and is none.
CODE = "src python_modules wrangler.toml node_modules/.package-lock.json .dev/bundle"
# For a shell that is to become workerd: adds the arguments for a snapshot to its own.
CHOICE = f"""\
is_of_this_code() {{
  [ -f "$1/{STAMP}" ] && newer=$(cd "${PLACE}" && find -H {CODE} \\
    -name __pycache__ -prune -o -cnewer "$1/{STAMP}" -print) && [ -z "$newer" ]
}}
if [ -n "${{{PLACE}-}}" ]; then
  if [ -f "${KEPT}/{SNAPSHOT}" ] && is_of_this_code "${KEPT}"; then
    set -- "$@" "--python-snapshot-dir=${KEPT}" --python-load-snapshot={SNAPSHOT}
  elif is_of_this_code "${OWN}"; then
    set -- "$@" "--python-snapshot-dir=${OWN}" --python-save-snapshot
  fi
fi
"""


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """
    The snapshot that a run takes or makes.

    Args:
        home: Folder of this run.
        kind: How the Worker is put together: each way has a snapshot of its own.
    """

    home: Path
    kind: str

    def environment(self) -> dict[str, str]:
        """Return what tells the wrapper of workerd where snapshots are; the code is noted now."""
        self._own.mkdir(exist_ok=True)
        (self._own / STAMP).touch()
        return {KEPT: str(self._kept), OWN: str(self._own), PLACE: str(ROOT)}

    def keep(self) -> None:
        """
        Keep for later runs what this one, which is ready, may have made.

        Nothing is kept where this run's folder is on another file system: a copied stamp would be
        younger than what it stands for.
        """
        if not (self._own / SNAPSHOT).is_file():
            return
        self._kept.mkdir(parents=True, exist_ok=True)
        try:
            # The memory first: beside the older stamp it is as good, or not taken.
            for name in (SNAPSHOT, STAMP):
                (self._own / name).replace(self._kept / name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise

    @property
    def _own(self) -> Path:
        return self.home / "snapshot"

    @property
    def _kept(self) -> Path:
        # By place: several copies of the project may share their tools.
        return SNAPSHOTS / hashlib.sha256(f"{self.kind}\0{ROOT}".encode()).hexdigest()[:16]
