"""The page of a Worker that asks for keys."""

from __future__ import annotations

from pathlib import Path

from devtools.toolchain import Toolchain
from integration.harness.browser import running_browser
from integration.harness.keyed_worker import DAY_MS, SITE, START_MS, KeyedWorker


def test_key_is_asked_for_and_stays_in_the_tab(
    keyed: KeyedWorker, tools: Toolchain, tmp_path: Path
) -> None:
    """A wrong key is refused, a reader sees no operator's view, an administrator does."""
    times = [("from", str(START_MS)), ("to", str(START_MS + DAY_MS))]
    query = [("site", SITE), ("p", keyed.points[SITE][0]), *times]
    with running_browser(tools, tmp_path) as browser:
        found = browser.run(
            "keys",
            keyed.server.url,
            query=query,
            reader=keyed.keys["reader"],
            admin=keyed.keys["admin"],
        )
    assert found["wrong"]
    assert [True, False] == found["stored"]
    assert not found["inAddress"]
    assert not found["curl"]
    assert "Another key" in found["forbidden"]
    assert found["routes"] > 1
