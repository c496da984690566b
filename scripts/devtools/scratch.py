"""
What a run writes and throws away lies in memory, where the machine has a folder there.

At each start wrangler copies every module of the Worker, a thousand small files, into the project,
reads none of them, and removes them at its end. On a disk that took a core 1.2 s of 3.5, and more
the more files have been removed lately, because ext4 passes over their places; in memory it takes
next to nothing. Where the machine has no such folder, or no room in it, the run's own takes them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a new folder in it, whose name nobody can know before
PREFIX = "building-vitals-"
# A run takes 15 MB. Containers may have 64 MB there for all that they do.
RUN_BYTES = 512 * 1024 * 1024
# For node: leads wrangler to the folder of temporary files.
REDIRECTION = Path(__file__).with_name("scratch.cjs")


def folder_in_memory(room_bytes: int, parent: Path = IN_MEMORY) -> Path | None:
    """
    Return a new folder in memory that only this user may read; the caller removes it.

    Args:
        room_bytes: How much must be free.
        parent: What lies in memory.

    Returns:
        None where there is no such place, or no room.
    """
    try:
        if shutil.disk_usage(parent).free < room_bytes:
            return None
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError:
        return None


@contextmanager
def scratch_of(home: Path, parent: Path = IN_MEMORY) -> Iterator[Path]:
    """
    Keep the folder `tmp` of a run, in memory if possible, until the block ends.

    Args:
        home: The run's folder; `tmp` in it is a link where it lies in memory.
        parent: See folder_in_memory.

    Yields:
        Where it lies.
    """
    home.mkdir(parents=True, exist_ok=True)
    linked = folder_in_memory(RUN_BYTES, parent)
    folder = linked or home / "tmp"
    try:
        if linked is None:
            folder.mkdir()
        else:
            (home / "tmp").symlink_to(linked)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
