"""
What holds for all tests: in the full check (REQUIRE_ALL=1) a skipped test is a failed one, with
several processes test files that share a Worker go to the same one and those that wait for it lie
between those that wait for nothing, and little is spent on garbage.
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
RUNTIME = ("tests/contract", "tests/integration")
# Of the files without a runtime, what comes last: they are short, so no process waits long for the
# others in the end.
LAST_SHARE = 0.25
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    With several processes, put files that only reckon between those that run a Worker.

    These wait for a third of their time: together they would leave a core idle.
    """
    if not hasattr(config, "workerinput"):
        return
    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    running = [name for name in files if name.startswith(RUNTIME)]
    reckoning = [name for name in files if not name.startswith(RUNTIME)]
    each = len(reckoning) * (1 - LAST_SHARE) / max(len(running), 1)
    places = {name: float(number) for number, name in enumerate(running)}
    places |= {name: number / each if each else 0.0 for number, name in enumerate(reckoning)}
    # Sorting is stable: what runs a Worker goes first where both have the same place.
    order = sorted((*running, *reckoning), key=places.__getitem__)
    items[:] = [item for name in order for item in files[name]]


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
