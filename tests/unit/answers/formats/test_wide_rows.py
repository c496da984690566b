"""Samples of many points side by side, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest

from building_vitals.answers.formats import wide_rows
from building_vitals.answers.formats.wide_rows import WideCsv
from sample_values import ISO0, VALUES, run

ISO1 = "2025-01-01T00:05:00.000Z"


def made(points: Sequence[str], *texts: Sequence[bytes]) -> tuple[str, int]:
    """Return the body made of texts that come together, and the count of its samples."""
    encoder = WideCsv(points, gzip=False)
    data = encoder.take()
    for together in texts:
        for _ in encoder.put(together):
            data += encoder.take()
    return (data + encoder.finish({})).decode(), encoder.samples


def test_a_row_is_an_instant() -> None:
    """In the order of time, the points in that of the request, empty where one has none."""
    body, samples = made(["b", "a"], [run("1.50", "2"), run("-3")], [b"", b""])
    assert f"time,b,a\r\n{ISO0.decode()},1.50,-3\r\n{ISO1},2,\r\n" == body
    assert 3 == samples


def test_parts_of_the_range_follow_each_other() -> None:
    """There is one header, whatever comes."""
    body, samples = made(["a", "b"], [run("1"), b""], [b"", b'[1735689900000,"x"]'])
    assert f"time,a,b\r\n{ISO0.decode()},1,\r\n{ISO1},,x\r\n" == body
    assert 2 == samples


def test_nothing_is_a_header() -> None:
    """Where nothing was measured, the columns are there all the same."""
    assert ("time,a\r\n", 0) == made(["a"])


@pytest.mark.parametrize(("value", "cell"), VALUES)
def test_wide_value(value: str, cell: bytes) -> None:
    """Each kind of value becomes the cell that it is in long CSV."""
    body, _ = made(["p", "q"], [run(value), run("1")])
    assert f"{ISO0.decode()},{cell.decode()},1\r\n" == body.partition("\r\n")[2]


@pytest.mark.parametrize(
    ("point", "cell"),
    [
        ("AHU 1, supply", '"AHU 1, supply"'),
        ("=1+1", "'=1+1"),
        ("@home,x", '"\'@home,x"'),
        ('24" duct', '"24"" duct"'),
        ("Küche \U0001f525", "Küche \U0001f525"),
    ],
)
def test_wide_point(point: str, cell: str) -> None:
    """A name in the header is quoted, and made harmless, as any text."""
    assert f"time,{cell},b\r\n" == made([point, "b"])[0]


def test_a_part_is_made_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cells it has, few are put together at once, and none is lost."""
    monkeypatch.setattr(wide_rows, "CELLS_MAX", 6)
    encoder = WideCsv(["a", "b", "c"], gzip=False)
    head = encoder.take()
    together = [run(*map(str, range(7))), b"", run("9")]
    steps = [encoder.take() for _ in encoder.put(together)]
    assert [2, 2, 2, 1] == [step.count(b"\r\n") for step in steps]
    rows = list(csv.reader(io.StringIO((head + b"".join(steps)).decode())))
    assert [str(n) for n in range(7)] == [row[1] for row in rows[1:]]
    assert {4} == {len(row) for row in rows}
