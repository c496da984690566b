"""One run: several clients take the operations one after the other, then the aftermath."""

from __future__ import annotations

import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.abandoning import Abandoning
from chaos.aftermath import Aftermath
from chaos.asking import Asking
from chaos.faults import Windows
from chaos.follows import Follows
from chaos.ground import ALPHA, BETA, JOBS, LIVE, Ground, now_ms
from chaos.jobs import Jobs
from chaos.oracle import Truth
from chaos.profiles import Profile, profiles_of
from chaos.record import Record
from chaos.runtime import Runtime
from chaos.scene import Scene, Visitor
from chaos.upkeep import Upkeep
from chaos.workload import Step, Workload
from devtools.children import Children
from devtools.console import StepFailed
from devtools.toolchain import Toolchain
from fakes.upstream import FakeUpstream

CLIENTS = 6
PROGRESS_S = 30.0
LOG_LINES = 14
# Lines of the Worker's log that a healthy Worker never prints.
FORBIDDEN = ("never awaited", "borrowed proxy", "Traceback", "fatal error", "*** Received signal")

Handler = Callable[[Step, Visitor], object]


@dataclass(frozen=True, slots=True)
class Options:
    """
    What a run is to be.

    Attributes:
        without_rules: Whose differences are counted, and not held against the Worker.
        without_faults: Kinds of faults that are left out.
        keep: Where the Worker's state and logs stay after the run; None to delete them.
    """

    operations: int
    seed: int
    without_rules: frozenset[str] = frozenset()
    without_faults: frozenset[str] = frozenset()
    keep: Path | None = None


class Run:
    """
    Runs the operations.

    Args:
        scene: All that they share.
        options: What the run is to be.
        profiles: For each start of the Worker, in turn; the first is running.
        say: Prints a line.
    """

    def __init__(
        self,
        scene: Scene,
        options: Options,
        profiles: list[Profile],
        say: Callable[[str], None],
    ) -> None:
        self._scene, self._options, self._profiles, self._say = scene, options, profiles, say
        self._lock = threading.Lock()
        workload = Workload(
            options.seed,
            sites=(ALPHA, BETA),
            jobs=JOBS,
            live=LIVE,
            without=options.without_faults,
        )
        self._steps: Iterator[Step] = workload.steps(options.operations)
        self._asking, self._jobs = Asking(scene), Jobs(scene)
        self._abandoning, self._follows = Abandoning(scene, self._jobs), Follows(scene)
        self._handlers = self._table(Upkeep(scene))
        self._failure: BaseException | None = None
        self._told_s = time.monotonic()

    def _table(self, upkeep: Upkeep) -> Mapping[str, Handler]:
        asking, jobs, follows = self._asking, self._jobs, self._follows
        return {
            "ask": asking.ask, "repeat": asking.repeat, "head": asking.head,
            "leave": asking.leave, "submit": jobs.submit, "poll": jobs.poll, "data": jobs.data,
            "cancel": jobs.cancel, "events": jobs.events, "jobs": jobs.listing, "retry": jobs.retry,
            "abandon": self._abandoning.abandon, "search": upkeep.search, "sites": upkeep.sites,
            "stats": upkeep.stats, "health": upkeep.health, "objects": upkeep.objects,
            "failures": upkeep.failures, "purge": upkeep.purge, "bad": upkeep.bad,
            "maintenance": upkeep.maintenance, "correct": upkeep.correct, "late": upkeep.late,
            "grow": upkeep.advance, "appear": upkeep.appear, "vanish": upkeep.vanish,
            "fault": upkeep.fault, "mend": upkeep.mend, "outage": upkeep.outage,
            "restore": upkeep.restore, "lose": upkeep.lose, "spoil": upkeep.spoil,
            "database": upkeep.database, "kill": self._kill, "follow": follows.follow,
            "unfollow": follows.unfollow, "followed": follows.followed, "hold": follows.hold,
        }  # fmt: skip

    def everything(self) -> None:
        """
        Do all operations, then judge what is left behind.

        Raises:
            BaseException: What a client itself failed with.
        """
        clients = [threading.Thread(target=self._client, daemon=True) for _ in range(CLIENTS)]
        self._scene.gate.set()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if self._failure is not None:
            raise self._failure
        self._say("the operations are done; the faults end")
        Aftermath(self._scene, self._asking, self._jobs, self._abandoning, self._follows).run()
        self._judge_logs()

    def _client(self) -> None:
        visitor = Visitor()
        try:
            while (step := self._next()) is not None:
                self._scene.gate.wait()
                began_s = time.monotonic()
                self._do(step, visitor)
                self._scene.record.did(step.operation, time.monotonic() - began_s)
                if step.operation != "kill":
                    self._see_that_it_lives(step)
        except BaseException as error:
            self._failure = error

    def _do(self, step: Step, visitor: Visitor) -> None:
        """Do an operation; what goes wrong here, and not with an answer, is told of too."""
        try:
            self._handlers[step.operation](step, visitor)
        except StepFailed:
            raise
        except Exception as error:
            text = "".join(traceback.format_exception(error)[-3:])
            self._scene.record.note(step.number, "command", step.operation, text)

    def _next(self) -> Step | None:
        with self._lock:
            if self._failure is not None:
                return None
            step = next(self._steps, None)
            if step is not None and time.monotonic() - self._told_s > PROGRESS_S:
                self._told_s = time.monotonic()
                found = self._scene.record.rules.total()
                self._say(f"operation {step.number}, {found} differences")
            return step

    def _kill(self, step: Step, visitor: Visitor) -> None:
        """Kill the runtime under the others' requests, and start it again with other vars."""
        del visitor
        scene = self._scene
        scene.gate.clear()
        window = scene.windows.open("killed", None, now_ms(), "worker")
        # Others have begun something by then, and are hit in the middle of it.
        time.sleep(step.draws[0] * 0.1)
        scene.record.injected("workerd killed")
        self._restart()
        window.ended_ms, window.linger_ms = now_ms(), 0

    def _restart(self) -> None:
        scene = self._scene
        with scene.control:
            scene.runtime.kill()
            scene.profile = self._profiles[scene.runtime.starts % len(self._profiles)]
            scene.runtime.start(scene.profile.variables)
            scene.unstored_ms = now_ms()
        scene.gate.set()

    def _see_that_it_lives(self, step: Step) -> None:
        """Start a runtime again that died by itself, which is a difference."""
        scene = self._scene
        if not scene.gate.is_set() or scene.runtime.is_alive():
            return
        with self._lock:
            if not scene.gate.is_set() or scene.runtime.is_alive():
                return
            scene.gate.clear()
            window = scene.windows.open("died", None, now_ms(), "worker")
            scene.record.note(step.number, "crash", "workerd", "it died by itself")
            self._restart()
            window.ended_ms, window.linger_ms = now_ms(), 0

    def _judge_logs(self) -> None:
        for path in self._scene.runtime.logs:
            lines = path.read_text(errors="replace").splitlines()
            for at, text in enumerate(lines):
                if any(word in text for word in FORBIDDEN):
                    shown = " / ".join(each.strip() for each in lines[at : at + LOG_LINES])
                    self._scene.record.note(-1, "log", path.name, shown)


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    """Make a folder for state and logs, which is deleted afterwards unless it is to be kept."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def run_chaos(
    options: Options, tools: Toolchain, children: Children, say: Callable[[str], None]
) -> Record:
    """
    Run it.

    Args:
        options: What the run is to be.
        tools: The set-up.
        children: Takes the processes.
        say: Prints a line.

    Returns:
        What was found.
    """
    record = Record(options.seed, options.without_rules, say)
    profiles = profiles_of(options.seed)
    with _home(options.keep) as home, FakeUpstream() as upstream:
        truth = Truth()
        ground = Ground(upstream, truth, options.seed)
        runtime = Runtime(children, tools, home, upstream)
        say(f"starting the Worker; seed {options.seed}")
        runtime.start(profiles[0].variables)
        record.began_s = time.monotonic()
        scene = Scene(
            runtime=runtime,
            upstream=upstream,
            truth=truth,
            ground=ground,
            windows=Windows(),
            record=record,
            profile=profiles[0],
            evidence=options.keep,
        )
        try:
            Run(scene, options, profiles, say).everything()
        finally:
            runtime.stop()
    return record
