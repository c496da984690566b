"""When the runtime restores its memory, when it saves it, and when it does neither."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from devtools import memory_snapshot
from devtools.memory_snapshot import CHOICE, CODE, KEPT, SNAPSHOT, STAMP, MemorySnapshot

LOAD = f"--python-load-snapshot={SNAPSHOT}"
SAVE = "--python-save-snapshot"


class Project:
    """A project of which snapshots are made, in a folder with a space in its name."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = folder / "a project"
        for name in CODE.split():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            if Path(name).suffix:
                (self.root / name).write_text(name)
            else:
                (self.root / name).mkdir()
                (self.root / name / "code.py").write_text(name)
        self._runs = folder / "runs"
        self._runs.mkdir()
        patch.setattr(memory_snapshot, "ROOT", self.root)
        patch.setattr(memory_snapshot, "SNAPSHOTS", folder / "kept ones")

    def run(self, kind: str = "one", *, is_ready: bool = True, edit: str = "") -> list[str]:
        """Start the runtime as a run does; returns with what arguments, without folders."""
        home = self._runs / str(len(list(self._runs.iterdir())))
        home.mkdir()
        snapshot = MemorySnapshot(home, kind)
        environment = snapshot.environment()
        if edit:
            self.edit(edit)
        given = arguments(environment)
        if SAVE in given:
            (Path(given[1].partition("=")[2]) / SNAPSHOT).write_text("memory")
        if is_ready:
            snapshot.keep()
        self.kept = Path(environment[KEPT])
        return [each for each in given if not each.startswith("--python-snapshot-dir=")]

    def edit(self, name: str) -> None:
        """Change a file, and set its times back, as copying with its times does."""
        self.wait()
        (self.root / name).write_text("other code")
        os.utime(self.root / name, (1, 1))

    def wait(self) -> None:
        """Wait until the clock of the file system, which has steps of milliseconds, has gone on."""
        probe = self.root / "probe"
        probe.touch()
        began_ns = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == began_ns:
            probe.touch()


def arguments(environment: dict[str, str]) -> list[str]:
    """Return the arguments that the wrapper would call workerd with."""
    script = f'{CHOICE}printf "%s\\n" "$@"'
    done = subprocess.run(  # noqa: S603 - our own text
        ["/bin/sh", "-eu", "-c", script, "workerd", "serve"],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that nobody has started."""
    return Project(tmp_path, monkeypatch)


def test_the_second_start_restores_what_the_first_saved(project: Project) -> None:
    """The first makes the snapshot, all later ones take it, each kind its own."""
    assert ["serve", SAVE] == project.run()
    assert "memory" == (project.kept / SNAPSHOT).read_text()
    assert ["serve", LOAD] == project.run() == project.run()
    assert ["serve", SAVE] == project.run("another")


@pytest.mark.parametrize("name", ["src/code.py", "python_modules/code.py", "wrangler.toml"])
def test_other_code_has_another_snapshot(project: Project, name: str) -> None:
    """Whatever of the code has changed, its snapshot is made again, and then taken."""
    project.run()
    project.edit(name)
    assert ["serve", SAVE] == project.run()
    assert ["serve", LOAD] == project.run()


@pytest.mark.parametrize("runs", [0, 1])
def test_code_that_is_edited_in_a_run_starts_without(project: Project, runs: int) -> None:
    """Neither is an older memory restored, nor is one saved of which it is unsure what is in it."""
    for _ in range(runs):
        project.run()
    assert ["serve"] == project.run(edit="src/code.py")


def test_new_and_lost_files_are_changes(project: Project) -> None:
    """A file more or less is another code; compiled byte code is not."""
    project.run()
    project.wait()
    (project.root / "src" / "__pycache__").mkdir()
    assert ["serve", SAVE] == project.run()
    (project.root / "src" / "__pycache__" / "code.pyc").write_text("compiled")
    assert ["serve", LOAD] == project.run()
    project.wait()
    (project.root / "src" / "more.py").write_text("more")
    assert ["serve", SAVE] == project.run()
    project.wait()
    (project.root / "src" / "code.py").unlink()
    assert ["serve", SAVE] == project.run()


def test_a_run_that_failed_leaves_none(project: Project) -> None:
    """Only of a Worker that answered is the memory kept."""
    assert ["serve", SAVE] == project.run(is_ready=False)
    assert not project.kept.exists()
    assert ["serve", SAVE] == project.run()


def test_nothing_is_kept_across_file_systems(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose folder lies in memory, as temporary files may, starts and leaves none."""

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        assert ["serve", SAVE] == project.run()
    assert [] == list(project.kept.iterdir())
    assert ["serve", SAVE] == project.run()
    assert ["serve", LOAD] == project.run()


def test_the_older_stamp_beside_a_newer_memory_is_not_taken(project: Project) -> None:
    """Killed between the two steps of keeping, a run leaves nothing that anybody takes."""
    project.run()
    stamp = project.kept / STAMP
    before = stamp.stat()
    project.edit("src/code.py")
    project.run()
    os.utime(stamp, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ["serve", SAVE] == project.run()


def test_runs_without_snapshots_start_as_always() -> None:
    """Where nobody says where they are, there is nothing to restore or to save."""
    assert ["serve"] == arguments({})
