"""What the scripts tell their user: line by line, flushed, so that a pipe shows it at once."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEARTBEAT_SECONDS = 10.0


class StepFailed(Exception):
    """
    A step could not be done; the message is for the user.

    Attributes:
        tail: Last lines of the step's log, may be empty.
    """

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.tail = tail


def say(text: str) -> None:
    """Print *text* as one line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print *text* as one line on the error stream, at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def progress(title: str) -> Iterator[None]:
    """Say that a long step begins, that it still goes on, and how long it took."""
    began = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            say(f"  ... {title}: {time.monotonic() - began:.0f} s")

    say(f"- {title}")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    say(f"  done in {time.monotonic() - began:.1f} s")
