"""One Chromium for many scenarios: those of tests/page/browser/scenarios.mjs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devtools.layout import ROOT
from devtools.toolchain import Toolchain

DRIVER = ROOT / "tests" / "page" / "browser" / "drive.mjs"
END_S = 20.0


class Browser:
    """
    A running browser.

    Args:
        process: The driver.
        folder: Takes a picture of each scenario that fails.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.version = str(self._read()["version"])

    def run(self, scenario: str, url: str, **options: object) -> Any:
        """
        Run a scenario on a Worker's page; returns what it has found.

        Raises:
            AssertionError: It failed, the page threw, broke its policy or asked another host.
        """
        assert self._process.stdin is not None
        picture = str(self._folder / f"{scenario}.png")
        request = {"scenario": scenario, "url": url, "picture": picture, "options": options}
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        answer = self._read()
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the browser's driver ended with status {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_browser(tools: Toolchain, folder: Path) -> Iterator[Browser]:
    """Start a browser, and end it with all that it started."""
    with subprocess.Popen(  # noqa: S603 - our own script
        [str(tools.node), str(DRIVER)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=tools.environment(),
    ) as process:
        try:
            yield Browser(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(END_S)
