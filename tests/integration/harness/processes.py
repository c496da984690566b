"""Looks at the machine's processes: what a command has started, and what of it still runs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """
    One process; the time of its start tells it from a later one with the same id.

    Attributes:
        pid: Its id.
        parent: Its parent's id.
        started: Clock ticks since the machine's start.
        command: Its command line, arguments separated by spaces.
    """

    pid: int
    parent: int
    started: int
    command: str


def running() -> dict[int, Process]:
    """Return all processes by id; those that have ended but are not yet collected are left out."""
    found = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, parent, *fields = (folder / "stat").read_text().rpartition(") ")[2].split()
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if state != "Z":
            pid = int(folder.name)
            found[pid] = Process(pid, int(parent), int(fields[17]), command.strip())
    return found


def descendants(pid: int) -> list[Process]:
    """Return all processes below *pid*."""
    below = defaultdict(list)
    for process in running().values():
        below[process.parent].append(process)
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        children = below[waiting.pop()]
        found += children
        waiting += [child.pid for child in children]
    return found


def survivors(processes: list[Process]) -> list[Process]:
    """Return those of *processes* that still run."""
    now = running()
    return [old for old in processes if (new := now.get(old.pid)) and new.started == old.started]
