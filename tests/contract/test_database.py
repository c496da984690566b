"""What holds for every Database, in memory or real."""

from __future__ import annotations

import base64
import json
import math

import pytest

from building_vitals.errors import Unavailable
from building_vitals.ports import Database, Statement, json_parameter
from fakes.database import FakeDatabase

UNICODE = "Zone »Süd« ☃ 😀 \u0001 ' \" \\ \n\t"


async def make(database: Database) -> None:
    """Create a table with a column of each kind, in place of an earlier test's."""
    await database.batch(
        [
            Statement("DROP TABLE IF EXISTS things"),
            Statement(
                "CREATE TABLE things "
                "(id INTEGER PRIMARY KEY, t TEXT, r REAL, n INTEGER CHECK (n <> 13)) STRICT"
            ),
        ]
    )


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param(0, id="zero"),
        pytest.param(-1, id="negative"),
        pytest.param(1_735_689_600_000, id="an instant"),
        pytest.param(2**53 - 2, id="largest whole number"),
        pytest.param(-(2**53) + 2, id="smallest whole number"),
        pytest.param(0.1, id="fraction"),
        pytest.param(-1.5e-300, id="tiny"),
        pytest.param(123456789012.125, id="large fraction"),
        pytest.param("", id="no text"),
        pytest.param("17.50", id="text that looks like a number"),
        pytest.param(UNICODE, id="every kind of text"),
        pytest.param("x" * 1_000_000, id="a million letters"),
    ],
)
async def test_values_come_back_as_they_went(database: Database, value: str | float | None) -> None:
    """A parameter selected is the same value of the same kind."""
    [row] = await database.rows("SELECT ?1 AS v", value)
    assert {"v": value} == row
    assert type(value) is type(row["v"])


async def test_rows_are_plain_dicts_in_order(database: Database) -> None:
    """Rows come with their columns' names, in the order of the statement, NULL as None."""
    await make(database)
    for n, text, real in [(2, "b", 2.5), (1, None, None), (3, UNICODE, -0.25)]:
        await database.rows("INSERT INTO things (id, t, r) VALUES (?1, ?2, ?3)", n, text, real)
    rows = await database.rows("SELECT id, t, r, n AS none FROM things ORDER BY id DESC")
    assert [
        {"id": 3, "t": UNICODE, "r": -0.25, "none": None},
        {"id": 2, "t": "b", "r": 2.5, "none": None},
        {"id": 1, "t": None, "r": None, "none": None},
    ] == rows
    assert [] == await database.rows("SELECT id FROM things WHERE id > ?1", 3)


async def test_a_parameter_may_be_used_twice(database: Database) -> None:
    """`?1` is one value wherever it stands."""
    assert [{"a": 5, "b": 10, "c": 7}] == await database.rows("SELECT ?1 a, ?1 * 2 b, ?2 c", 5, 7)


async def test_whole_numbers_are_bound_as_fractions(database: Database) -> None:
    """SQL sees 7.0: it divides and writes like one; a column of whole numbers takes it as whole."""
    [row] = await database.rows(
        "SELECT typeof(?1) AS kind, ?1 / 2 AS half, ?1 || '' AS text, json_array(?1) AS json,"
        " 7 = ?1 AS is_same, ?1 IN (SELECT value FROM json_each('[7]')) AS is_in",
        7,
    )
    assert {
        "kind": "real",
        "half": 3.5,
        "text": "7.0",
        "json": "[7.0]",
        "is_same": 1,
        "is_in": 1,
    } == row
    await make(database)
    await database.rows("INSERT INTO things (id, t, r, n) VALUES (?1, ?1, ?1, ?1)", 7)
    [row] = await database.rows("SELECT typeof(n) AS kind, t, r, n FROM things LIMIT ?1", 7)
    assert {"kind": "integer", "t": "7.0", "r": 7, "n": 7} == row


async def test_not_a_number_is_null(database: Database) -> None:
    """SQL knows no NaN."""
    assert [{"v": None}] == await database.rows("SELECT ?1 AS v", math.nan)


async def test_a_list_travels_as_json(database: Database) -> None:
    """json_each gives the elements of a parameter in order, `->>` and `->` what is in them."""
    points = [UNICODE, "17.50", "", "a,b"] + [f"point {n}" for n in range(600)]
    rows = await database.rows("SELECT key, value FROM json_each(?1)", json.dumps(points))
    assert points == [row["value"] for row in rows]
    await make(database)
    given = [[1, "x", 2**52 + 1], [2, None, 0]]
    [outcome] = await database.batch(
        [
            Statement(
                "INSERT INTO things (id, t, n) "
                "SELECT value ->> 0, value -> 1, value ->> 2 FROM json_each(?1)",
                (json.dumps(given),),
            )
        ]
    )
    assert 2 == outcome.changes
    assert [{"t": '"x"', "n": 2**52 + 1}, {"t": "null", "n": 0}] == await database.rows(
        "SELECT t, n FROM things ORDER BY id"
    )


async def test_rows_can_be_gathered_into_one_text(database: Database) -> None:
    """json_group_array makes one value of many rows, in the order of a CROSS JOIN."""
    rows = await database.rows(
        "SELECT json_group_array(json_array(p.value, p.key, NULL)) AS v FROM json_each(?1) p "
        "GROUP BY p.key / 2",
        json.dumps(["a", "b", UNICODE]),
    )
    assert [[["a", 0, None], ["b", 1, None]], [[UNICODE, 2, None]]] == [
        json.loads(row["v"]) for row in rows
    ]


async def test_changes_are_counted_for_each_statement(database: Database) -> None:
    """Inserted, updated and deleted rows are counted; what is selected or ignored is not."""
    await make(database)
    outcomes = await database.batch(
        [
            Statement("INSERT INTO things (id, n) VALUES (1, 1), (2, 2), (3, 3)"),
            Statement("INSERT OR IGNORE INTO things (id, n) VALUES (3, 9), (4, 4)"),
            Statement("SELECT id FROM things ORDER BY id"),
            Statement("UPDATE things SET n = n + 100 WHERE id >= ?1", (3,)),
            Statement("UPDATE things SET n = 0 WHERE id = 99"),
            Statement("INSERT INTO things SELECT 5, NULL, NULL, 5 WHERE EXISTS (SELECT 1)"),
            Statement("INSERT INTO things SELECT 6, NULL, NULL, 6 WHERE NOT EXISTS (SELECT 1)"),
            Statement("DELETE FROM things WHERE id < 3"),
            Statement("SELECT count(*) AS n FROM things"),
        ]
    )
    assert [3, 1, 0, 2, 0, 1, 0, 2, 0] == [outcome.changes for outcome in outcomes]
    assert [{"id": n} for n in (1, 2, 3, 4)] == outcomes[2].rows
    assert [{"n": 3}] == outcomes[8].rows
    assert [] == outcomes[0].rows


async def test_a_statement_returns_what_it_changed(database: Database) -> None:
    """RETURNING gives rows and counts changes."""
    await make(database)
    await database.rows("INSERT INTO things (id, n) VALUES (1, 1), (2, 2)")
    [outcome] = await database.batch(
        [Statement("UPDATE things SET n = 7 WHERE id = 2 RETURNING id, n")]
    )
    assert ([{"id": 2, "n": 7}], 1) == outcome


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("INSERT INTO things (id, n) VALUES (1, 1)", id="taken key"),
        pytest.param("INSERT INTO things (id, n) VALUES (9, 13)", id="failed check"),
        pytest.param("INSERT INTO things (id, t) VALUES (9, x'00')", id="wrong type"),
        pytest.param("INSERT INTO things_missing VALUES (1)", id="missing table"),
        pytest.param("INSERT INTO things (id, n) VALUES (9, ", id="no SQL"),
    ],
)
async def test_a_batch_happens_whole_or_not_at_all(database: Database, broken: str) -> None:
    """One statement that fails undoes those before it and keeps those after it from running."""
    await make(database)
    await database.rows("INSERT INTO things (id, n) VALUES (1, 1)")
    with pytest.raises(Unavailable):
        await database.batch(
            [
                Statement("INSERT INTO things (id, n) VALUES (2, 2)"),
                Statement("DELETE FROM things WHERE id = 1"),
                Statement("INSERT INTO things (id, n) VALUES (1, 5)"),
                Statement(broken),
                Statement("INSERT INTO things (id, n) VALUES (3, 3)"),
            ]
        )
    assert [{"id": 1, "n": 1}] == await database.rows("SELECT id, n FROM things")


async def test_an_empty_batch_is_nothing(database: Database) -> None:
    """No statements, no outcomes."""
    assert [] == await database.batch([])


async def test_a_batch_may_be_long(database: Database) -> None:
    """Three hundred statements go in one."""
    await make(database)
    sql = "INSERT INTO things (id, n) VALUES (?1, ?2)"
    outcomes = await database.batch([Statement(sql, (n, n + 100)) for n in range(300)])
    assert 300 == sum(outcome.changes for outcome in outcomes)
    assert [{"n": 300}] == await database.rows("SELECT count(*) AS n FROM things")


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        pytest.param("SELEC 1", (), id="no SQL"),
        pytest.param("SELECT * FROM no_such_table", (), id="missing table"),
        pytest.param("SELECT ?1 AS v", (2**53 - 1,), id="number too large for JavaScript"),
        pytest.param("SELECT ?1 AS v", (), id="missing parameter"),
        pytest.param("SELECT 1 AS v", (5,), id="parameter too many"),
        pytest.param("SELECT 1 AS v WHERE 'a' IN (" + "?," * 100 + "?)", (1,) * 101, id="101"),
        pytest.param("SELECT json_extract('{', '$') AS v", (), id="no JSON"),
    ],
)
async def test_what_is_refused_is_unavailable(
    database: Database, sql: str, values: tuple[int, ...]
) -> None:
    """Whatever goes wrong in the database is Unavailable, alone and in a batch."""
    with pytest.raises(Unavailable):
        await database.rows(sql, *values)
    with pytest.raises(Unavailable):
        await database.batch([Statement(sql, values)])


LIMITS: dict[str, tuple[str, tuple[str | int, ...]]] = {
    "value": ("SELECT length(?1 || ?1) AS v", ("x" * 1_000_001,)),
    "parameters": ("SELECT 1 AS v WHERE 1 IN (" + "?," * 100 + "?)", (1,) * 101),
    "statement": (f"SELECT 1 AS v -- {'x' * 100_000}", ()),
    "pattern": ("SELECT 'a' LIKE ?1 AS v", ("%" * 51,)),
}
# Cloudflare's service refuses all of them. https://developers.cloudflare.com/d1/platform/limits/
# The local runtime lets these pass, so only the stand-in guards against them. It does not count the
# queries of an invocation either.
NOT_ENFORCED_LOCALLY = {"value"}


@pytest.mark.parametrize("limit", LIMITS)
async def test_limits(database: Database, limit: str) -> None:
    """What D1 refuses is refused by the stand-in, and by the local runtime but for some."""
    sql, values = LIMITS[limit]
    if limit in NOT_ENFORCED_LOCALLY and not isinstance(database, FakeDatabase):
        assert 1 == len(await database.rows(sql, *values))
        return
    with pytest.raises(Unavailable):
        await database.rows(sql, *values)


EVERY_BYTE = bytes(range(256)) * 32


async def test_bytes_travel_as_base64_in_a_column_of_text(database: Database) -> None:
    """What the JSON library makes of bytes goes into a row and comes back within JSON, or not."""
    await make(database)
    rows = [[1, EVERY_BYTE], [2, None], [3, b""]]
    await database.batch(
        [
            Statement(
                "INSERT INTO things (id, t) SELECT value ->> 0, value ->> 1 FROM json_each(?1)",
                (json_parameter(rows),),
            )
        ]
    )
    [row] = await database.rows(
        "SELECT '[' || group_concat(iif(t IS NULL, head, "
        "substr(head, 1, length(head) - 1) || ',' || json_quote(t) || ']')) || ']' AS v FROM "
        "(SELECT json_array(id) AS head, t FROM things ORDER BY id)"
    )
    found = [(each[0], *map(base64.b64decode, each[1:])) for each in json.loads(row["v"])]
    assert [(1, EVERY_BYTE), (2,), (3, b"")] == found


async def test_a_text_that_was_spoilt_is_still_json(database: Database) -> None:
    """Whatever stands in a column, json_quote makes valid JSON of it."""
    [row] = await database.rows("SELECT '[' || json_quote(?1) || ']' AS v", UNICODE)
    assert [UNICODE] == json.loads(row["v"])


async def test_a_running_sum_leaves_out_what_is_too_much(database: Database) -> None:
    """Rows in order, each with its own text while all so far are short enough."""
    await make(database)
    rows = [[n, "x" * 100 if n % 2 else None] for n in range(1, 9)]
    await database.rows(
        "INSERT INTO things (id, t) SELECT value ->> 0, value ->> 1 FROM json_each(?1)",
        json_parameter(rows),
    )
    found = await database.rows(
        "SELECT id, iif(size > 250, NULL, t) IS NOT NULL AS is_there FROM ("
        "SELECT id, t, sum(iif(t IS NULL, 0, length(t))) OVER (ROWS UNBOUNDED PRECEDING) AS size "
        "FROM (SELECT id, t FROM things ORDER BY id))"
    )
    assert [1, 3] == [row["id"] for row in found if row["is_there"]]


async def test_rows_are_updated_from_a_list(database: Database) -> None:
    """UPDATE … FROM json_each changes the rows that are still as they were, NULL included."""
    await make(database)
    await database.rows("INSERT INTO things (id, t, n) VALUES (1, 'a', 1), (2, 'b', 2)")
    [outcome] = await database.batch(
        [
            Statement(
                "UPDATE things SET t = NULL, n = v.value ->> 2 FROM json_each(?1) v "
                "WHERE things.id = v.value ->> 0 AND things.t = v.value ->> 1",
                (json_parameter([[1, "a", 7], [2, "other", 8]]),),
            )
        ]
    )
    assert 1 == outcome.changes
    rows = await database.rows("SELECT id, t, n FROM things ORDER BY id")
    assert [{"id": 1, "t": None, "n": 7}, {"id": 2, "t": "b", "n": 2}] == rows


async def test_an_index_may_have_some_of_the_rows(database: Database) -> None:
    """A statement that repeats the condition of a partial index is served by it."""
    await make(database)
    await database.batch(
        [
            Statement("CREATE INDEX IF NOT EXISTS things_named ON things (n) WHERE t <> ''"),
            Statement("INSERT INTO things (id, t, n) VALUES (1, '', 5), (2, 'b', 5)"),
        ]
    )
    sql = "SELECT id FROM things INDEXED BY things_named WHERE n = ?1 AND t <> ''"
    assert [{"id": 2}] == await database.rows(sql, 5)
