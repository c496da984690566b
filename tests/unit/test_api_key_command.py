"""The key command: which options it takes, what SQL it writes, what it shows."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from building_vitals.access.api_keys import hash_key, is_well_formed
from devtools import api_keys
from devtools.api_keys import KeyOptions, parse_key_options

NOW_MS = 1_800_000_000_000
SCHEMA_SQL = Path(__file__).resolve().parents[2] / "schema.sql"


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """The Worker's tables."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript(SCHEMA_SQL.read_text(encoding="utf-8"))
    yield connection
    connection.close()


def create(database: sqlite3.Connection, options: KeyOptions) -> tuple[str, str]:
    """Store a new key; returns its id and itself."""
    key_id, key = api_keys.new_key_id(), api_keys.new_key()
    sql = api_keys.create_statement(options, key_id=key_id, key=key, now_ms=NOW_MS)
    assert key not in sql
    assert [key_id] == [row["key_id"] for row in database.execute(sql)]
    return key_id, key


def test_keys_are_random_and_well_formed() -> None:
    """Each key is another, of the form that the Worker takes."""
    keys = {api_keys.new_key() for _ in range(100)}
    assert 100 == len(keys)
    assert all(map(is_well_formed, keys))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            ["create", "--name", "n", "--sites", "a, b.c ,a"],
            KeyOptions(action="create", name="n", sites=("a", "b.c")),
            id="reader of some sites",
        ),
        pytest.param(
            ["create", "--name", "n", "--sites", "*", "--expires", "2d"],
            KeyOptions(action="create", name="n", expires_ms=NOW_MS + 2 * 86_400_000),
            id="reader of all, for days",
        ),
        pytest.param(
            ["create", "--name", "n", "--role", "admin", "--expires", "2030-01-01T00:00:00Z"],
            KeyOptions(action="create", name="n", role="admin", expires_ms=1_893_456_000_000),
            id="admin until a date",
        ),
        pytest.param(["list", "--remote"], KeyOptions(action="list", is_remote=True), id="list"),
        pytest.param(
            ["revoke", "key_0123456789abcdef", "--local"],
            KeyOptions(action="revoke", key_id="key_0123456789abcdef"),
            id="revoke one",
        ),
        pytest.param(
            ["revoke", "--name", "n"], KeyOptions(action="revoke", name="n"), id="revoke by name"
        ),
    ],
)
def test_options(arguments: list[str], expected: KeyOptions) -> None:
    """Options are read as they are meant."""
    expected = replace(expected, state=expected.state.resolve())
    assert expected == parse_key_options(arguments, now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "required", id="nothing"),
        pytest.param(["create"], "needs --name", id="no name"),
        pytest.param(["create", "--name", "n"], "needs --sites", id="no sites"),
        pytest.param(["create", "--name", "n", "--sites", ""], "no site's name", id="empty sites"),
        pytest.param(["create", "--name", "n", "--sites", "a,../b"], "'../b'", id="walking up"),
        pytest.param(["create", "--name", "n", "--sites", "a');--"], "no site's name", id="SQL"),
        pytest.param(
            ["create", "--name", "n", "--role", "admin", "--sites", "a"], "admin sees", id="admin"
        ),
        pytest.param(["create", "--name", "a\nb", "--sites", "*"], "printable", id="line end"),
        pytest.param(["create", "--name", "a\0b", "--sites", "*"], "printable", id="NUL"),
        pytest.param(["create", "--name", "x" * 65, "--sites", "*"], "1 to 64", id="long name"),
        pytest.param(["create", "--name", "n", "--role", "root"], "invalid choice", id="role"),
        pytest.param(
            ["create", "--name", "n", "--sites", "*", "--expires", "2020-01-01"], "past", id="past"
        ),
        pytest.param(
            ["create", "--name", "n", "--sites", "*", "--expires", "soon"], "ISO 8601", id="no time"
        ),
        pytest.param(["revoke"], "needs an id or --name", id="revoke nothing"),
        pytest.param(["revoke", "1 OR 1"], "must be a key's id", id="revoke SQL"),
        pytest.param(["list", "--role", "admin"], "takes neither", id="list with a role"),
        pytest.param(["list", "--local", "--remote"], "not allowed with", id="both databases"),
    ],
)
def test_bad_options_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that make no sense end with status 2 and one line that says why."""
    with pytest.raises(SystemExit) as ending:
        parse_key_options(arguments, now_ms=NOW_MS)
    assert 2 == ending.value.code
    told = capsys.readouterr().err
    assert message in told
    assert 1 == told.count("\n")


@pytest.mark.parametrize(
    "name", ["O'Brien", "'; DROP TABLE api_keys; --", '"', "\\'", "%s {x} ?1", "日本 😀"]
)
def test_names_stay_what_they_are(database: sqlite3.Connection, name: str) -> None:
    """Whatever a name holds, it is stored and found as text, and does nothing else."""
    create(database, KeyOptions(action="create", name="other"))
    create(database, KeyOptions(action="create", name=name))
    stored = [row["name"] for row in database.execute("SELECT name FROM api_keys")]
    assert sorted(["other", name]) == sorted(stored)
    revoke = api_keys.revoke_statement(KeyOptions(action="revoke", name=name), now_ms=NOW_MS)
    assert [name] == [row["name"] for row in database.execute(revoke)]
    assert [] == database.execute(revoke).fetchall()


def test_only_the_hash_is_stored(database: sqlite3.Connection) -> None:
    """The row holds the key's SHA-256, role, sites and times, and not the key."""
    options = KeyOptions(action="create", name="n", sites=("a", "b"), expires_ms=NOW_MS + 1)
    key_id, key = create(database, options)
    row = dict(database.execute("SELECT * FROM api_keys").fetchone())
    expected = {
        "key_id": key_id,
        "name": "n",
        "key_hash": hash_key(key),
        "role": "reader",
        "sites": json.dumps(["a", "b"]),
        "created_ms": NOW_MS,
        "expires_ms": NOW_MS + 1,
        "revoked_ms": None,
        "last_used_ms": None,
    }
    assert expected == row
    assert key not in repr(row)


def test_list_shows_no_hash(database: sqlite3.Connection) -> None:
    """The list tells all about each key but its hash."""
    create(database, KeyOptions(action="create", name="first", sites=("a", "b")))
    create(database, KeyOptions(action="create", name="second", role="admin"))
    rows = [dict(row) for row in database.execute(api_keys.list_statement())]
    shown = api_keys.table(rows)
    assert 3 == len(shown.splitlines())
    assert "a,b" in shown
    assert "2027-01-15T08:00:00Z" in shown
    assert not re.search(r"[0-9a-f]{40}", shown)


def test_what_quotes_cannot_hold_is_refused() -> None:
    """A text that might end a statement some other way is never written."""
    with pytest.raises(ValueError, match="not printable"):
        api_keys.literal("a\0b")
