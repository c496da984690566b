"""The page of a Worker whose upstream fails."""

from __future__ import annotations

from pathlib import Path

from devtools.toolchain import Toolchain
from integration.harness.brittle_worker import BrittleWorker
from integration.harness.browser import running_browser
from integration.harness.client import until
from integration.harness.oracle import DAY_MS, START_MS, Question

# Fewer samples are not worth a place in the cache: they are asked for directly.
DAYS = 12


def test_stale_data_are_shown_and_said_to_be_old(
    brittle: BrittleWorker, tools: Toolchain, tmp_path: Path, site: str
) -> None:
    """What was known is drawn, and said to be from before; what never was is a failure."""
    points = brittle.upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + DAYS * DAY_MS, interval_s=3600, points=1
    )
    # As the page aligns it: whole days are multiples of every step. Enough of them for the cache.
    known = Question(site, points, START_MS, START_MS + DAYS * DAY_MS)
    assert 200 == known.ask(brittle.client).status
    assert 200 == brittle.client.get(f"/api/sites/{site}/points").status
    assert 200 == brittle.client.get("/api/sites").status
    brittle.upstream.faults.always(site, "503")
    until(
        lambda: "stale" == known.ask(brittle.client).headers["X-Cache-Status"],
        what="stale answer",
    )
    asked = [("site", site), ("p", points[0]), ("from", str(START_MS))]
    with running_browser(tools, tmp_path) as browser:
        found = browser.run(
            "upstreamFails",
            brittle.server.url,
            query=[*asked, ("to", str(START_MS + DAYS * DAY_MS))],
            other=[*asked[:2], ("from", str(START_MS - 9 * DAY_MS)), ("to", str(START_MS))],
        )
    assert "this is what was known before" in found["stale"]
    assert "Nothing of the range is missing." in found["stale"]
    assert "stale" in found["happened"]
    assert found["ink"] > 100
    assert "503" in found["failed"]
