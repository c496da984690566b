"""
The code of a guide, run as its readers would, and held against the answers that it shows.

A block of `sh`, `python` or `js` may be followed by one that shows what it prints: `json` (every
value but those of VOLATILE), `json like` (the same fields with values of the same types), `text` or
`csv` (`…` stands for anything). Any other block, and one that cannot be run here, says so in the
line above it, with NOT_RUN.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"(?P<before>[^\n]*)\n+```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
NOT_RUN = "Not run by the tests"
RUN = ("sh", "python", "js")
SHOWN = ("json", "json like", "text", "csv")
# Of each request its own, or of the moment.
VOLATILE = {
    *("requestId", "duration", "timestamp", "jobId", "statusUrl"),
    *("estimatedSamples", "missingSamples"),
}
END = "\x1e"
TIMEOUT_S = 120


@dataclass(frozen=True)
class Block:
    """
    One block.

    Attributes:
        before: The line above it.
        info: Its language, and what is said of it.
    """

    before: str
    info: str
    text: str


@dataclass(frozen=True)
class Ran:
    """A block that was run, what it printed, and what the guide shows of that, if anything."""

    block: Block
    printed: str
    shown: Block | None


def blocks_of(guide: Path) -> list[Block]:
    """Return the blocks of a guide, in order."""
    found = BLOCK.finditer(guide.read_text(encoding="utf-8"))
    return [Block(each["before"], each["info"].strip(), each["text"]) for each in found]


def pairs_of(guide: Path) -> Iterator[tuple[Block, Block | None]]:
    """
    Yield the blocks to run, each with the one that shows what it prints.

    Raises:
        AssertionError: a block is neither run nor shown, and does not say so.
    """
    blocks = blocks_of(guide)
    for number, block in enumerate(blocks):
        if NOT_RUN in block.before:
            continue
        if block.info not in RUN:
            assert block.info in SHOWN, f"{guide.name}: {block.info!r} is not run: say so above"
            assert number, guide.name
            before = blocks[number - 1]
            assert before.info in RUN, f"{guide.name}: nothing printed {block.text[:60]!r}"
            continue
        after = blocks[number + 1] if number + 1 < len(blocks) else None
        is_shown = after is not None and after.info in SHOWN and NOT_RUN not in after.before
        yield block, after if is_shown else None


def run_guide(guide: Path, environment: Mapping[str, str], node: Path, folder: Path) -> list[Ran]:
    """
    Run all blocks of a guide: those of the shell in one shell, those of Python in one module.

    Args:
        guide: Its file.
        environment: Beside the process's own.
        node: Node.js.
        folder: Where they run.
    """
    pairs = list(pairs_of(guide))
    given = {**os.environ, **environment}
    shell = iter(_shell([block.text for block, _ in pairs if block.info == "sh"], given, folder))
    names: dict[str, Any] = {}
    ran = []
    for block, shown in pairs:
        if block.info == "sh":
            printed = next(shell)
        elif block.info == "python":
            printed = _python(block.text, names, environment, folder)
        else:
            printed = _node(block.text, given, node, folder)
        ran.append(Ran(block, printed, shown))
    for name in names.keys() & {"client"}:
        # Readers leave it open for the next line.
        names[name].close()
    return ran


def _shell(texts: list[str], environment: Mapping[str, str], folder: Path) -> list[str]:
    script = "".join(f"{text}\nprintf '{END}'\n" for text in texts)
    process = subprocess.run(  # noqa: S603 - our own guides
        ["bash", "-euo", "pipefail", "-c", script],  # noqa: S607 - as readers call it
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert 0 == process.returncode, process.stdout[-500:] + process.stderr
    return process.stdout.split(END)[:-1]


def _python(text: str, names: dict[str, Any], environment: Mapping[str, str], folder: Path) -> str:
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    printed = io.StringIO()
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
            exec(compile(text, "guide", "exec"), names)  # noqa: S102 - our own guides
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    return printed.getvalue()


def _node(text: str, environment: Mapping[str, str], node: Path, folder: Path) -> str:
    (folder / "guide.mjs").write_text(text, encoding="utf-8")
    process = subprocess.run(  # noqa: S603 - our own guides
        [node, "guide.mjs"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert 0 == process.returncode, process.stderr
    return process.stdout


def read_digits(text: str) -> Any:
    """Return JSON with its fractions as they are written."""
    return json.loads(text, parse_float=lambda digits: f"{digits} (a number)")


def assert_shown(ran: Ran) -> None:
    """See that a guide shows what its block prints."""
    assert ran.shown is not None
    if ran.shown.info in ("text", "csv"):
        pattern = ".*".join(map(re.escape, ran.shown.text.strip().split("…")))
        printed = ran.printed.replace("\r\n", "\n").strip()
        assert re.fullmatch(pattern, printed, re.DOTALL), f"{ran.block.text}\n{printed}"
        return
    shown, printed_document = read_digits(ran.shown.text), read_digits(ran.printed)
    different = list(
        differences(shown, printed_document, "", is_like=ran.shown.info == "json like")
    )
    assert [] == different, f"{ran.block.text}\n{ran.printed}"


def differences(shown: Any, printed: Any, path: str, *, is_like: bool) -> Iterator[str]:
    """Yield where two documents differ."""
    if isinstance(shown, dict) and isinstance(printed, dict):
        if shown.keys() != printed.keys():
            yield f"{path}: fields {sorted(shown.keys() ^ printed.keys())}"
        for name in shown.keys() & printed.keys():
            is_free = is_like or name in VOLATILE
            yield from differences(shown[name], printed[name], f"{path}.{name}", is_like=is_free)
    elif isinstance(shown, list) and isinstance(printed, list):
        if not is_like and len(shown) != len(printed):
            yield f"{path}: {len(shown)} and {len(printed)} items"
        for number, (one, other) in enumerate(zip(shown, printed, strict=False)):
            yield from differences(one, other, f"{path}[{number}]", is_like=is_like)
    elif is_like:
        # What is not there yet, or no longer, is null.
        if None not in (shown, printed) and _kind(shown) != _kind(printed):
            yield f"{path}: {shown!r} and {printed!r}"
    elif shown != printed:
        yield f"{path}: {shown!r} and {printed!r}"


def _kind(value: Any) -> str:
    is_number = isinstance(value, int) or (isinstance(value, str) and value.endswith("(a number)"))
    return "number" if is_number and not isinstance(value, bool) else type(value).__name__
