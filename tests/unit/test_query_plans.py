"""How the database goes about each statement: none reads the whole of a table that grows."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import building_vitals

ROOT = Path(__file__).resolve().parents[2]
SQL = re.compile(r"\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\s")
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")

# Tables that stay small whatever happens: one row; leases under way; a row for each step; the sites
# purged in the last day; the six ways a job may stand; the three queues; the sites that
# administrators have followed; some dozens of blocks for each of them, merged as they come.
SMALL_TABLES = {
    "cache_totals",
    "upstream_quota",
    "maintenance_state",
    "fetch_leases",
    "cache_purges",
    "job_totals",
    "chunk_queues",
    "site_follows",
    "site_blocks",
}

# Statements that may sort, and why.
SORTS_ALLOWED = {
    ("profiles_table", "_LIST"): "a row a site, read for administrators alone",
    ("follows_table", "_QUIET"): "a row a followed site",
}

# Statements that may go through a table, and why.
ALLOWED = {
    ("state_table", "_SEGMENT"): "stops at the first row",
    ("keys_table", "_ANY_USABLE"): "stops at the first usable key",
    ("figures_table", "_CACHE"): "reads the first entry at either end of an index",
    ("upkeep_table", "_RECOUNT"): "runs once a day, to put right what was changed by hand",
}


def statements() -> Iterator[tuple[str, str, str]]:
    """Yield module, name and text of each statement of the tables; no templates."""
    for module in pkgutil.walk_packages(building_vitals.__path__, f"{building_vitals.__name__}."):
        if not module.name.endswith("_table"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            texts = value if isinstance(value, tuple) else (value,)
            for n, text in enumerate(texts):
                if isinstance(text, str) and SQL.match(text) and "{" not in text:
                    short = module.name.rpartition(".")[2]
                    yield short, name if len(texts) == 1 else f"{name}[{n}]", text


STATEMENTS = [
    pytest.param(module, name, sql, id=f"{module}.{name}") for module, name, sql in statements()
]


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    """An empty database with the schema; nothing analysed, as D1's is."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    yield connection
    connection.close()


def plan_of(database: sqlite3.Connection, sql: str) -> list[str]:
    """Return the steps of a statement's plan."""
    count = max((int(n) for n in re.findall(r"\?(\d+)", sql)), default=0)
    rows = database.execute(f"EXPLAIN QUERY PLAN {sql}", (None,) * count)
    return [str(row[3]) for row in rows]


def scanned_tables(database: sqlite3.Connection, sql: str) -> set[str]:
    """Return the tables that a statement reads from end to end."""
    tables = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_schema")}
    aliases: dict[str, str] = {
        alias: table for table, alias in re.findall(r"(?:FROM|JOIN)\s+(\w+)\s+(?:AS\s+)?(\w+)", sql)
    }
    scanned = set()
    for step in plan_of(database, sql):
        match = re.match(r"SCAN (?:TABLE )?(\w+)", step)
        if match:
            name = match[1]
            scanned.add(name if name in tables else aliases.get(name, name))
    return scanned & tables


def test_all_repositories_are_looked_at() -> None:
    """The test finds the statements of each repository, f-strings and formatted ones too."""
    found = {(module, name) for module, name, _ in statements()}
    assert {
        ("look_up_table", "_FIND"),
        ("jobs_table", "_LIST_OWN"),
        ("progress_table", "_RECOUNT"),
        ("keys_table", "_FIND"),
        ("leases_table", "_TAKE"),
        ("history_table", "_FORGET_JOBS[3]"),
        ("quota_table", "_TAKE"),
    } <= found


def test_a_scan_is_noticed(database: sqlite3.Connection) -> None:
    """A condition that no index serves is seen, under an alias and within a view too."""
    assert {"queue_jobs"} == scanned_tables(database, "SELECT 1 FROM queue_jobs j WHERE error = ''")
    assert {"cache_segments"} == scanned_tables(
        database, "DELETE FROM cache_segments WHERE samples = ?1"
    )
    assert set() == scanned_tables(database, "SELECT 1 FROM queue_jobs WHERE job_id = ?1")


@pytest.mark.parametrize(("module", "name", "sql"), STATEMENTS)
def test_no_growing_table_is_scanned(
    database: sqlite3.Connection, module: str, name: str, sql: str
) -> None:
    """Each statement finds its rows by an index; exceptions are listed with their reason."""
    scanned = scanned_tables(database, sql) - SMALL_TABLES
    if (module, name) in ALLOWED:
        assert scanned, "needs no exception any more"
        return
    assert set() == scanned, "\n".join(plan_of(database, sql))


@pytest.mark.parametrize(("module", "name", "sql"), STATEMENTS)
def test_nothing_is_sorted_that_an_index_has_in_order(
    database: sqlite3.Connection, module: str, name: str, sql: str
) -> None:
    """A statement that takes the first rows of many does not put all of them in order first."""
    if not re.search(r"ORDER BY [^)]*LIMIT \?", sql):
        return
    sorts = [step for step in plan_of(database, sql) if "B-TREE FOR ORDER BY" in step]
    if (module, name) in SORTS_ALLOWED:
        assert sorts, "needs no exception any more"
        return
    assert [] == sorts, "\n".join(plan_of(database, sql))


@pytest.mark.parametrize(
    "name", [name for module, name, _ in statements() if module == "progress_table"]
)
def test_no_change_of_a_chunk_reads_all_chunks_of_its_job(
    database: sqlite3.Connection, name: str
) -> None:
    """One by its number, the last one, or those that are not done, of which there are a few."""
    sql = next(
        text for module, each, text in statements() if (module, each) == ("progress_table", name)
    )
    steps = [step for step in plan_of(database, sql) if re.match(r"SEARCH [codem] ", step)]
    by_job = [step for step in steps if "(job_id=?)" in step]
    assert all("job_chunks_open" in step for step in by_job if " m " not in step), by_job
