"""schema.sql: re-runnable, equal to the sum of the migrations, and nothing D1 stumbles over."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")
MIGRATIONS = sorted((ROOT / "migrations").glob("*.sql"))
VIEWS = ("v_active_jobs", "v_job_performance", "v_cache_performance", "v_request_stats")
TABLES = (
    *("queue_jobs", "job_chunks", "job_points", "job_history", "cache_segments"),
    *("cache_metadata", "request_analytics", "fetch_leases", "api_keys"),
    "upstream_profiles",
)


def built(scripts: Iterable[str]) -> sqlite3.Connection:
    """Return a database made by running scripts."""
    connection = sqlite3.connect(":memory:")
    for script in scripts:
        connection.executescript(script)
    return connection


def shape(connection: sqlite3.Connection) -> dict[tuple[str, str], object]:
    """Return every table with its columns, every index and view with its text."""
    found: dict[tuple[str, str], object] = {}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema"):
        text = re.sub(r"\s+", " ", re.sub(r"--.*", "", sql or "")).replace("IF NOT EXISTS ", "")
        columns = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
        options = text.rpartition(")")[2].strip()
        found[kind, name] = (columns, options) if kind == "table" else text
    return found


def test_the_schema_is_the_sum_of_the_migrations() -> None:
    """A new database and one that was migrated step by step are the same."""
    migrations = [path.read_text(encoding="utf-8") for path in MIGRATIONS]
    assert migrations
    assert shape(built([SCHEMA])) == shape(built(migrations))


def test_names_change_and_rows_stay() -> None:
    """What a database of 1.0 holds is there under the new names of its columns."""
    old = [path.read_text(encoding="utf-8") for path in MIGRATIONS[:2]]
    connection = built(old)
    connection.execute(
        "INSERT INTO cache_metadata VALUES ('k', 'hq', 0, 1, 2, 3, 40, 5, 8.0, 6, 7, 8, 9)"
    )
    connection.executescript(MIGRATIONS[2].read_text(encoding="utf-8"))
    query = "SELECT text_bytes, stored_bytes FROM {}"
    assert [(40, 5)] == connection.execute(query.format("cache_metadata")).fetchall()
    assert [(40, 5)] == connection.execute(query.format("v_cache_performance")).fetchall()


def test_profiles_are_added_to_what_is_there() -> None:
    """A database of the release before gets the table of profiles; its segments came of pages."""
    connection = built(path.read_text(encoding="utf-8") for path in MIGRATIONS[:3])
    columns = [row[1:4] for row in connection.execute("PRAGMA table_xinfo(cache_segments)")]
    values = ", ".join(
        ("x'00'" if kind == "BLOB" else "1" if kind in ("INTEGER", "REAL") else "'a'")
        for _, kind, _ in columns
    )
    names = ", ".join(name for name, _, _ in columns)
    connection.execute(f"INSERT INTO cache_segments ({names}) VALUES ({values})")
    connection.executescript(MIGRATIONS[3].read_text(encoding="utf-8"))
    connection.execute("INSERT INTO upstream_profiles VALUES ('u', 'hq', '{}', 0, 1)")

    assert [(0,)] == connection.execute("SELECT is_by_point FROM cache_segments").fetchall()


def test_marks_of_purges_stay_marks() -> None:
    """A mark of the release before stands for all of its site, and for ever."""
    number = next(n for n, path in enumerate(MIGRATIONS) if path.name == "0006_purges.sql")
    connection = built(path.read_text(encoding="utf-8") for path in MIGRATIONS[:number])
    connection.execute("INSERT INTO cache_purges VALUES ('hq', 17)")
    connection.executescript(MIGRATIONS[number].read_text(encoding="utf-8"))
    [mark] = connection.execute("SELECT * FROM cache_purges").fetchall()

    assert ("hq", "", 17) == (*mark[:2], mark[4])
    assert mark[2] < 0 < 10**14 < mark[3]


def test_migrations_are_numbered_without_gaps() -> None:
    """wrangler applies them by name."""
    numbers = [path.name[:4] for path in MIGRATIONS]
    assert [f"{n:04}" for n in range(1, len(MIGRATIONS) + 1)] == numbers


def test_it_can_be_run_again() -> None:
    """A second run changes nothing and loses nothing."""
    once = built([SCHEMA])
    once.execute("INSERT INTO cache_purges VALUES ('hq', '', 0, 1, 2)")
    before = shape(once)
    once.executescript(SCHEMA)
    assert before == shape(once)
    assert [(1,)] == once.execute("SELECT count(*) FROM cache_purges").fetchall()


def test_everything_is_there() -> None:
    """The tables and views that the documentation names exist and can be read."""
    connection = built([SCHEMA])
    for name in (*TABLES, *VIEWS):
        assert [] == connection.execute(f"SELECT * FROM {name}").fetchall(), name


def test_no_statement_holds_another() -> None:
    """No triggers: D1 takes remote migrations apart at each semicolon."""
    assert not re.search(r"\bTRIGGER\b", re.sub(r"--.*", "", SCHEMA), re.I)


def test_every_table_is_strict() -> None:
    """A value of the wrong kind is refused, not bent."""
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) \(.*?\n\) ([^;]*);", SCHEMA, re.S)
    assert set(TABLES) <= {name for name, _ in tables}
    assert [] == [name for name, options in tables if "STRICT" not in options]


def test_jobs_under_way_are_carried_over() -> None:
    """Their points become a part, and what their chunks had come to stands in the job's row."""
    name = next(path for path in MIGRATIONS if path.stem.endswith("job_windows"))
    connection = built(
        path.read_text(encoding="utf-8") for path in MIGRATIONS if path.name < name.name
    )
    connection.execute(
        "INSERT INTO queue_jobs (job_id, request_hash, owner, site, points_count, start_ms, end_ms,"
        " priority, status, total_chunks, estimated_size, metadata, created_ms, updated_ms)"
        " VALUES ('j', 'h', 'o', 'hq', 2, 0, 9, 'low', 'processing', 3, 9, '{}', 1, 1)"
    )
    connection.execute("""INSERT INTO job_points VALUES ('j', '["a","b"]')""")
    for chunk, status, attempts in ((0, "completed", 3), (1, "completed", 1), (2, "queued", 2)):
        connection.execute(
            "INSERT INTO job_chunks (job_id, chunk, first_point, points_count, start_ms, end_ms,"
            " estimated, status, attempts, upstream_requests, sent_ms, next_ms)"
            " VALUES ('j', ?, 0, 1, 0, 9, 10, ?, ?, 4, 0, 0)",
            (chunk, status, attempts),
        )
    connection.executescript(name.read_text(encoding="utf-8"))
    assert [("j", 0, 2, '["a","b"]')] == connection.execute("SELECT * FROM job_points").fetchall()
    columns = "planned_estimated, done_estimated, done_retries, done_requests"
    found = connection.execute(f"SELECT {columns} FROM queue_jobs").fetchall()
    assert [(30, 20, 2, 8)] == found
