"""A short run of scripts/chaos.py; the seed is fixed, CHAOS_SEED and CHAOS_OPERATIONS change it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from chaos.run import Options, run_chaos
from devtools.children import Children
from devtools.console import say
from devtools.signals import StopSignals
from devtools.toolchain import Toolchain

OPERATIONS = int(os.environ.get("CHAOS_OPERATIONS", "1000"))
SEED = int(os.environ.get("CHAOS_SEED", "20261"))


@pytest.fixture
def children() -> Iterator[Children]:
    """Takes the processes of the run."""
    with Children(StopSignals()) as started:
        yield started


def test_nothing_is_wrong_while_everything_fails(tools: Toolchain, children: Children) -> None:
    """Every answer is right or a clear failure that a fault explains; afterwards all is well."""
    record = run_chaos(Options(OPERATIONS, SEED), tools, children, say)
    assert [] == record.differences, "\n".join(record.lines(1.0))
    assert OPERATIONS == record.operations.total()
    assert {"site followed", "follow ended"} <= set(record.faults)
    assert {"200 hit", "200 miss", "200 partial"} <= set(record.statuses)
