"""
Runs one command and ends all that it started as soon as standard input closes.

The scripts hold the writing end of that pipe. However they end, SIGKILL included, the kernel closes
it, so no server can outlive the script that started it.

Usage: keeper.py [--remove DIR]... [--hold FD]... -- COMMAND...
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import sys
import time

ENDINGS = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
POLL_SECONDS = 0.02
PR_SET_CHILD_SUBREAPER = 36
NOT_STARTED = 127


def main(arguments: list[str]) -> int:
    """Run the command and return its exit status, 128 + signal when a signal ended it."""
    split = arguments.index("--")
    flags, command = arguments[:split], arguments[split + 1 :]
    pairs = list(zip(flags[::2], flags[1::2], strict=True))
    for _, descriptor in (pair for pair in pairs if pair[0] == "--hold"):
        os.set_inheritable(int(descriptor), False)
    try:
        return _run(command)
    finally:
        for _, folder in (pair for pair in pairs if pair[0] == "--remove"):
            shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> int:
    _adopt_orphans()
    awake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        child = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            setsigdef=[signal.SIGPIPE, signal.SIGHUP, signal.SIGINT],
        )
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc.strerror}\n")
        return NOT_STARTED
    status = _wait(child, awake)
    _end_group(child)
    _end_strays()
    return 0 if status is None else status


def _adopt_orphans() -> None:
    """Make this process the parent of every orphan below it (Linux; elsewhere the group does)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait(child: int, awake: int) -> int | None:
    """Return the child's exit status, or None when the end was asked for first."""
    ending = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    while True:
        ready, _, _ = select.select([0, awake], [], [])
        if awake in ready:
            received = set(os.read(awake, 4096))
            status = _reap(child)
            if status is not None:
                return status
            if received & ending:
                return None
        if 0 in ready:
            return None


def _reap(child: int = 0) -> int | None:
    """Collect every child that has ended; return the status of *child* if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _end_group(group: int) -> None:
    for number, seconds in ENDINGS:
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            return
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            _reap()
            try:
                os.killpg(group, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(POLL_SECONDS)


def _end_strays() -> None:
    """End what left the group but was adopted by this process (Linux)."""
    for number, seconds in ENDINGS:
        signalled: set[int] = set()
        deadline = time.monotonic() + seconds
        while strays := _children():
            for pid in strays - signalled:
                os.kill(pid, number)
            signalled |= strays
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_SECONDS)


def _children() -> set[int]:
    """Return the processes below this one that have not ended."""
    _reap()
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return {int(pid) for pid in file.read().split()}
    except OSError:
        return set()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
