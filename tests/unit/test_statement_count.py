"""Statements of an invocation are counted, whatever becomes of them."""

from __future__ import annotations

import pytest

from building_vitals.errors import Unavailable
from building_vitals.ports import Statement
from building_vitals.statement_count import STATEMENTS_MAX, STATEMENTS_SPENT, StatementCount
from fakes.database import FakeDatabase


async def test_each_statement_of_a_batch_counts() -> None:
    """Also of one that failed: D1 may have run it."""
    with FakeDatabase() as database:
        counted = StatementCount(database)
        assert [{"a": 1}] == await counted.rows("SELECT ?1 AS a", 1)
        await counted.batch([Statement("SELECT 1"), Statement("SELECT 2")])
        database.failures.next("batch")
        with pytest.raises(Unavailable):
            await counted.batch([Statement("SELECT 3")])
        assert 4 == counted.statements


async def test_half_of_them_are_for_beginning_and_some_for_the_end() -> None:
    """Long work is begun up to the half, and ends before the limit."""
    with FakeDatabase() as database:
        counted = StatementCount(database)
        told = []
        for n in range(1, STATEMENTS_MAX + 1):
            await counted.rows("SELECT 1")
            told.append((counted.is_spent, counted.is_nearly_out))
            assert n == counted.statements
        assert STATEMENTS_SPENT - 1 == told.index((True, False))
        assert STATEMENTS_SPENT < told.index((True, True)) < STATEMENTS_MAX - 100
