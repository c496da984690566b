"""What holds for all tests: in the full check (REQUIRE_ALL=1) a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


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
