"""Where a run's temporary files lie, and that wrangler's go there."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from devtools.children import Children
from devtools.scratch import REDIRECTION, folder_in_memory, scratch_of
from devtools.signals import StopSignals
from devtools.toolchain import set_up_python

# Makes a folder as wrangler does, and one as others do.
MAKES_FOLDERS = """
const fs = require("node:fs");
const [project, other] = process.argv.slice(1);
const wanted = [`${project}/.wrangler/tmp/dev-`, `${other}/other-`];
process.stdout.write(JSON.stringify(wanted.map((each) => fs.mkdtempSync(each))));
"""


def test_temporary_files_lie_in_memory_and_are_removed(tmp_path: Path) -> None:
    """Only their owner may read them; afterwards neither the folder nor the link leads anywhere."""
    memory, home = tmp_path / "memory", tmp_path / "home"
    memory.mkdir()
    with scratch_of(home, memory) as folder:
        assert memory == folder.parent
        assert folder == (home / "tmp").resolve()
        assert 0o700 == folder.stat().st_mode & 0o777
        (home / "tmp" / "file").write_text("passing")
    assert [] == list(memory.iterdir())
    assert not (home / "tmp").exists()


def test_memory_without_room_is_left_alone(tmp_path: Path) -> None:
    """A container may have little of it, and needs that for other things."""
    assert folder_in_memory(1 << 60, tmp_path) is None
    assert [] == list(tmp_path.iterdir())


def test_without_memory_they_lie_in_the_folder_of_the_run(tmp_path: Path) -> None:
    """Where there is no such place, the folder is an ordinary one."""
    with scratch_of(tmp_path / "home", tmp_path / "no-such-place") as folder:
        assert tmp_path / "home" / "tmp" == folder
        assert folder.is_dir()
    assert not folder.exists()


def test_folders_that_wrangler_makes_in_the_project_lie_elsewhere(tmp_path: Path) -> None:
    """Below TMPDIR, under their own names; all others stay where they are wanted."""
    project, other, temporary = (tmp_path / name for name in ("project", "other", "temporary"))
    for folder in (project / ".wrangler" / "tmp", other, temporary):
        folder.mkdir(parents=True)
    with Children(StopSignals()) as children:
        node = set_up_python(children).node
    done = subprocess.run(  # noqa: S603 - the Node.js of our own set-up
        [node, "--require", REDIRECTION, "-e", MAKES_FOLDERS, project, other],
        env={"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=True,
    )
    passing, wanted = map(Path, json.loads(done.stdout))
    assert (temporary, True) == (passing.parent, passing.name.startswith("dev-"))
    assert (other, True) == (wanted.parent, wanted.is_dir())
    assert [] == list((project / ".wrangler" / "tmp").iterdir())
