"""
The guides for users of the API: every snippet runs, and prints what the guide shows.

With a key, which all of them must send.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.sites import SITES
from devtools.toolchain import Toolchain
from integration.harness.guides import (
    Block,
    Ran,
    assert_shown,
    blocks_of,
    differences,
    pairs_of,
    run_guide,
)
from integration.harness.keyed_worker import KeyedWorker
from integration.harness.worker_server import ROOT

GUIDES = {name: ROOT / "docs" / f"{name}.md" for name in ("api", "clients")}
CLIENT = ROOT / "clients" / "python"
# Blocks with an answer, at least: a guide whose answers were not found would pass.
ANSWERS = {"api": 23, "clients": 9}


@pytest.fixture(scope="module")
def environment(
    keyed: KeyedWorker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The variables that the guides ask for, and the command bv; the demo's first site is there."""
    keyed.upstream.add_demo_site(SITES[0])
    programs = tmp_path_factory.mktemp("bin")
    bv = programs / "bv"
    bv.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(CLIENT / 'src')!r})\n"
        "from building_vitals_client.cli import main\nmain()\n"
    )
    bv.chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    yield {
        "BV_URL": keyed.server.url,
        "BV_KEY": keyed.keys["admin"],
        "PATH": path,
        "COLUMNS": "100",
    }
    keyed.upstream.remove_site(SITES[0].name)


@pytest.mark.parametrize("name", sorted(GUIDES))
def test_guides_show_what_their_code_prints(
    environment: dict[str, str],
    keyed: KeyedWorker,
    tools: Toolchain,
    tmp_path: Path,
    name: str,
) -> None:
    """Each block of code runs, and the answer that follows it is the true one."""
    keyed.client("admin").delete("/api/cache", {"site": SITES[0].name})
    ran = run_guide(GUIDES[name], environment, tools.node, tmp_path)
    answered = [each for each in ran if each.shown is not None]
    assert len(answered) >= ANSWERS[name]
    for each in answered:
        assert_shown(each)


def test_the_readme_of_the_client_runs(
    environment: dict[str, str], tools: Toolchain, tmp_path: Path
) -> None:
    """Its Python asks the Worker, and prints a table."""
    python = [each for each in blocks_of(CLIENT / "README.md") if each.info == "python"]
    assert 1 == len(python)
    guide = tmp_path / "readme.md"
    guide.write_text(f"\n\n```python\n{python[0].text}```\n")
    (ran,) = run_guide(guide, environment, tools.node, tmp_path)
    assert "mean" in ran.printed


def ran(info: str, shown: str, printed: str) -> Ran:
    """Return a block that printed something else than is shown, perhaps."""
    return Ran(Block("", "sh", "curl"), printed, Block("", info, shown))


@pytest.mark.parametrize(
    ("info", "shown", "printed"),
    [
        ("json", '{"a": 45.50}', '{"a": 45.5}'),
        ("json", '{"a": 1}', '{"a": 1, "b": 2}'),
        ("json", '{"a": [1]}', '{"a": [1, 2]}'),
        ("json like", '{"a": 1}', '{"a": "x"}'),
        ("json like", '{"a": 1}', '{"b": 1}'),
        ("text", "one … three", "one two"),
        ("csv", "time,point", "time,point\nmore"),
    ],
)
def test_answers_that_differ_are_seen(info: str, shown: str, printed: str) -> None:
    """Digits, fields, lengths, types, lines."""
    with pytest.raises(AssertionError):
        assert_shown(ran(info, shown, printed))


def test_answers_that_agree_are_taken() -> None:
    """Whatever is of the moment aside."""
    assert_shown(ran("json", '{"requestId": "a", "b": [4.50]}', '{"b": [4.50], "requestId": "c"}'))
    assert_shown(ran("json like", '{"a": [{"b": 1.5}]}', '{"a": [{"b": 2}, {"b": null}]}'))
    assert_shown(ran("text", "one…three", "one\ntwo\nthree\n"))
    assert [] == list(differences({}, {}, "", is_like=False))


def test_a_block_that_is_not_run_says_so(tmp_path: Path) -> None:
    """Another language, without a word about it, is a mistake of the guide."""
    guide = tmp_path / "guide.md"
    guide.write_text("Text.\n\n```yaml\na: 1\n```\n")
    with pytest.raises(AssertionError, match="yaml"):
        list(pairs_of(guide))
    guide.write_text("(Not run by the tests: it needs more.)\n\n```yaml\na: 1\n```\n")
    assert [] == list(pairs_of(guide))
