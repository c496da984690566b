"""Starts programs under the keeper and ends them, with everything below them, in every case."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType

from devtools.console import StepFailed
from devtools.layout import LOGS, ROOT
from devtools.sessions import end_session
from devtools.signals import StopSignals

KEEPER = Path(__file__).with_name("keeper.py")
STOP_SECONDS = 30.0
PUMP_SECONDS = 5.0
TAIL_LINES = 25

LineFilter = Callable[[bytes], bytes | None]


class Child:
    """
    One program under a keeper.

    Args:
        process: The keeper, its standard input a pipe that only this process can write to.
        on_line: Given each line of output; what it returns is passed on, None drops the line.
        log: Where the output goes instead, None for where ours goes.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        on_line: LineFilter | None = None,
        log: Path | None = None,
    ) -> None:
        self._process = process
        self._on_line = on_line
        self._log = log
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._pump: threading.Thread | None = None
        if on_line is not None:
            self._pump = threading.Thread(target=self._pass_on, daemon=True)
            self._pump.start()

    def last_lines(self) -> str:
        """Return the last lines of the output; all of it once the program has ended."""
        if self._log is not None:
            lines = self._log.read_text(errors="replace").splitlines()
            return "\n".join(lines[-TAIL_LINES:])
        if self._pump is not None and self.ended() is not None:
            self._pump.join(PUMP_SECONDS)
        return "\n".join(self._tail)

    def ended(self) -> int | None:
        """Return the exit status, or None while the program runs."""
        return self._process.poll()

    def wait(self) -> int:
        """Return the exit status once the program has ended and its output is passed on."""
        status = self._process.wait()
        self._end_orphans()
        if self._pump is not None:
            self._pump.join()
        return status

    def ask_to_end(self) -> None:
        """Close the pipe: the keeper ends the program and all that it started."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def end(self) -> None:
        """Ask for the end and wait until nothing is left."""
        self.ask_to_end()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._end_orphans()
        if self._pump is not None:
            self._pump.join(STOP_SECONDS)

    def _end_orphans(self) -> None:
        """Do the keeper's work if it was killed: nobody else knows what it has started."""
        if (self._process.returncode or 0) < 0:
            end_session(self._process.pid)

    def _pass_on(self) -> None:
        assert self._process.stdout is not None
        assert self._on_line is not None
        for line in self._process.stdout:
            shown = self._on_line(line)
            if shown is None:
                continue
            self._tail.append(shown.decode(errors="replace").rstrip())
            with suppress(OSError, ValueError):
                sys.stdout.buffer.write(shown)
                sys.stdout.buffer.flush()
        self._process.stdout.close()


class Children:
    """All programs that a script has started; leaving the block ends them."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._running: list[Child] = []

    def __enter__(self) -> Children:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything; a signal can no longer interrupt it."""
        self._signals.hold()
        for child in reversed(self._running):
            child.ask_to_end()
        for child in reversed(self._running):
            child.end()

    def start(
        self,
        command: Sequence[object],
        *,
        env: Mapping[str, str],
        on_line: LineFilter | None = None,
        log: Path | None = None,
        remove: Sequence[Path] = (),
        hold: Sequence[int] = (),
    ) -> Child:
        """
        Start *command* in the repository's root.

        Args:
            command: Program and arguments.
            env: Its whole environment.
            on_line: See Child.
            log: File that is made for its output when there is no *on_line*; None for ours.
            remove: Folders to delete when it has ended.
            hold: Descriptors (of locks) to keep open until it has ended.
        """
        flags = [part for folder in remove for part in ("--remove", str(folder))]
        flags += [part for descriptor in hold for part in ("--hold", str(descriptor))]
        output = None if log is None else log.open("wb")
        with self._signals.held(), output or nullcontext():
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", KEEPER, *flags, "--", *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if on_line is not None else output,
                stderr=subprocess.STDOUT if on_line is not None or output is not None else None,
                env=dict(env),
                cwd=ROOT,
                start_new_session=True,
                pass_fds=tuple(hold),
            )
            child = Child(process, on_line, log)
            self._running.append(child)
        return child

    def run(
        self,
        step: str,
        command: Sequence[object],
        *,
        env: Mapping[str, str],
        hold: Sequence[int] = (),
    ) -> None:
        """
        Run *command* to its end, its output in a log of its own.

        Raises:
            StepFailed: It ended with another status than 0; the log's last lines go with it.
        """
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / f"{step}.log"
        child = self.start(command, env=env, log=log, hold=hold)
        status = child.wait()
        with self._signals.held():
            child.end()
            self._running.remove(child)
        if status:
            raise StepFailed(
                f"{step} failed with status {status}; the log is {log.relative_to(ROOT)}",
                child.last_lines(),
            )
