"""Ends the processes of a session whose leader was killed before it could (Linux)."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

ENDINGS = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
POLL_SECONDS = 0.05
PROC = Path("/proc")


def end_session(leader: int) -> None:
    """
    End what still runs in the session that *leader* began.

    Its number cannot be another process's by now: it stays taken as long as the session lives.
    """
    for number, seconds in ENDINGS:
        deadline = time.monotonic() + seconds
        signalled: set[int] = set()
        while members := _members(leader):
            for pid in members - signalled:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            signalled |= members
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)


def _members(leader: int) -> set[int]:
    """Return the processes of a session that have not ended."""
    if not PROC.is_dir():
        return set()
    found = set()
    for entry in PROC.iterdir():
        with suppress(OSError, ValueError):
            state, _, _, session, *_ = (entry / "stat").read_text().rpartition(") ")[2].split()
            if int(session) == leader and state != "Z":
                found.add(int(entry.name))
    return found
