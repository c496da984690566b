"""
What holds for all tests: in the full check (REQUIRE_ALL=1) a skipped test is a failed one, with
several processes test files that share a Worker go to the same one, and little is spent on garbage.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Starting a Worker takes six seconds of a core: files by the fixture that they share.
CONTRACT = "tests/contract/"
SHARING = {
    f"tests/integration/test_{name}.py": fixture
    for fixture, names in {
        "keyed": (
            "access",
            "access_cors",
            "guides",
            "hostile_secrets",
            "openapi_answers",
            "page_keys",
            "point_call_faults",
            "who_may_ask",
        ),
        "brittle": ("cached_faults", "direct_faults", "lessons", "page_faults"),
    }.items()
    for name in names
}


class SharedWorkers(LoadFileScheduling):
    """Hands out test files, those that share a Worker together."""

    def _split_scope(self, nodeid: str) -> str:
        path = super()._split_scope(nodeid)
        return CONTRACT if path.startswith(CONTRACT) else SHARING.get(path, path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedWorkers:
    """Return what hands out the tests, where there are several processes."""
    return SharedWorkers(config, log)


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the modules and tests: it took a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything is required."""
    report = yield
    is_expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("REQUIRE_ALL") == "1" and report.skipped and not is_expected_failure:
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, but every test is required: {report.longrepr}"
        )
    return report
