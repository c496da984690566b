"""Every script tells its options when it is asked for help, and does nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py"))
# What of the repository the scripts read before they know what they are asked for.
NEEDED = ("scripts", "src", "tests", "requirements")
TOLD = {
    "api_key": ("create,list,revoke", "--name", "--role", "--sites", "--expires", "--remote"),
    "bench": ("cached|sliding|live|jobs", "--rounds"),
    "chaos": ("--operations", "--seed", "--without-rule", "--without-fault", "--keep"),
    "demo_upstream": (
        *("--port", "--token", "--latency-ms", "--ms-per-1000-samples", "--rate-limit", "--csv"),
        *("--site", "--kind", "--filter", "--cursor", "--times", "--slashes", "--unknown-site"),
        *("--wrong-token", "--empty", "--ends", "--per-page", "--names-per-call"),
        *("--request-line", "--values", "--point-calls"),
    ),
    "dev": ("--port", "--upstream", "--upstream-token", "--state", "--var", "--demo", "--runtime"),
    "fuzz": ("--requests", "--seed", "--threads"),
    "lock": ("pyproject.toml", "package.json"),
    "pack_runtime": ("PYODIDE_FOLDER", "BUNDLE_FILE"),
    "screenshots": ("docs/page-*.png", "operator's view"),
    "setup_cloudflare": ("--dry-run", "--tear-down"),
    "test": ("pytest",),
    "wrangler": ("-- --help",),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository in which nothing has been set up."""
    root = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__")
    for name in NEEDED:
        shutil.copytree(ROOT / name, root / name, ignore=skip)
    for path in ROOT.glob("*.*"):
        if path.is_file():
            shutil.copy(path, root / path.name)
    return root


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Return all files with their size and the time of their last change."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_tells_the_options_and_does_nothing(copy: Path, name: str, tmp_path: Path) -> None:
    """A Python without any package shows the help; no file is made or changed."""
    before = files(copy)
    done = subprocess.run(  # noqa: S603 - a script of ours
        [sys.executable, "-S", "-B", copy / "scripts" / f"{name}.py", "--help"],
        capture_output=True,
        check=False,
        text=True,
        cwd=copy,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"},
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(f"usage: {name}.py")
    assert [] == [text for text in TOLD[name] if text not in done.stdout]
    assert "" == done.stderr
    assert before == files(copy)
    assert [] == list(tmp_path.iterdir())
