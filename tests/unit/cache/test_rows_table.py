"""How rows travel: in texts that a parameter may hold, whatever they are made of."""

from __future__ import annotations

import json

import pytest

from building_vitals.cache.rows_table import PARAMETER_BYTES_MAX, json_lists, samples_of_part
from fakes.database import VALUE_BYTES_MAX, FakeDatabase


@pytest.mark.parametrize("name", ["x", "ü", "☃", "😀", '"', "\\"])
def test_every_text_is_one_that_a_parameter_may_hold(name: str) -> None:
    """Bytes count, not letters; rows come in order, and none is lost."""
    names = [f"{n}{name * 500}" for n in range(5_000)]
    texts = list(json_lists(names))
    assert names == [each for text in texts for each in json.loads(text)]
    assert max(len(text.encode()) for text in texts) < PARAMETER_BYTES_MAX + 3_000


def test_a_large_row_travels_alone() -> None:
    """Two rows of nearly a megabyte are two texts."""
    rows: list[list[object]] = [["x" * 990_000], ["y" * 990_000], [1]]
    texts = list(json_lists(rows))
    assert rows == [each for text in texts for each in json.loads(text)]
    assert max(map(len, texts)) < VALUE_BYTES_MAX
    assert [] == list(json_lists([]))


@pytest.mark.parametrize(
    ("samples", "part", "expected"),
    [(2880, 5, 14), (2880, 1000, 2880), (1, 1, 1), (0, 500, 0), (3, 400, 1)],
)
def test_a_part_has_its_share_of_the_samples(samples: int, part: int, expected: int) -> None:
    """Of any samples at least one, so that it is not taken for empty."""
    with FakeDatabase() as database:
        sql = samples_of_part("?1", ("100", "100 + ?2"), ("0", "1000"))
        for given in (part, float(part)):
            assert [{"n": expected, "kind": "integer"}] == database.look(
                f"SELECT {sql} AS n, typeof({sql}) AS kind", samples, given
            )
