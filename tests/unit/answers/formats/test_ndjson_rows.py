"""Samples as NDJSON, case by case."""

from __future__ import annotations

import pytest

from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from sample_values import VALUES, run


@pytest.mark.parametrize("value", [case.values[0] for case in VALUES])
@pytest.mark.parametrize("others", [("1.0",), ("1.0", '"x"')], ids=["with numbers", "with text"])
def test_ndjson_value(value: str, others: tuple[str, ...]) -> None:
    """A line holds the value's JSON text as it came."""
    rows = ndjson_rows('p "1"', run(value, *others))
    line = '{"point":"p \\"1\\"","time":"2025-01-01T00:00:00.000Z","value":' + value + "}\n"
    assert rows.startswith(line.encode())
    assert rows.count(b"\n") == 1 + len(others)
