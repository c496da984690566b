"""
Notices that a process of wrangler's has died which wrangler starts again in vain.

wrangler has two runtimes: a proxy that listens on the port, and the Worker's behind it. The latter
comes back. A proxy that comes back accepts connections and answers none of them.
"""

from __future__ import annotations

from pathlib import Path

from devtools.children import LineFilter
from devtools.servers import HOST

CRASHED = b"The Workers runtime crashed unexpectedly"
PROC = Path("/proc")


class Crashes:
    """Counts what wrangler prints about crashes of its runtimes."""

    def __init__(self) -> None:
        self._count = self._known = 0

    def noting(self, show: LineFilter) -> LineFilter:
        """Return a filter for wrangler's output that notes crashes and does what *show* does."""

        def note(line: bytes) -> bytes | None:
            self._count += CRASHED in line
            return show(line)

        return note

    def is_new(self) -> bool:
        """Return whether there was a crash since this was last asked."""
        before, self._known = self._known, self._count
        return self._known > before


def proxy_of(port: int) -> int | None:
    """Return the process of the runtime that listens on *port*; None where that cannot be told."""
    address = f"--socket-addr=entry={HOST}:{port}".encode()
    for entry in PROC.glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if address in arguments:
            return int(entry.name)
    return None


def is_running(pid: int) -> bool:
    """Return whether a process has not ended."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
