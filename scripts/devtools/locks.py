"""A lock between processes that the kernel frees when its last holder ends, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.console import StepFailed, say

POLL_SECONDS = 0.1


@contextmanager
def file_lock(path: Path, *, waiting: str, seconds: float, refusal: str) -> Iterator[int]:
    """
    Hold the lock of *path*; yields its descriptor, for children that must hold it to their end.

    Args:
        path: Made when missing.
        waiting: Said once when another process holds it.
        seconds: How long to wait for it.
        refusal: The message when it stays held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + seconds
        told = False
        while not _take(descriptor):
            if not told:
                say(waiting)
                told = True
            if time.monotonic() >= deadline:
                raise StepFailed(refusal)
            time.sleep(POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True
