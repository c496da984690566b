"""Samples read from their text and written again."""

from __future__ import annotations

import math

import pytest

from building_vitals.series.sample_text import decode_samples, decode_values, encode_samples
from sample_values import T0, VALUES, run


@pytest.mark.parametrize("value", [case.values[0] for case in VALUES])
def test_samples_round_trip(value: str) -> None:
    """Decoding and encoding a run changes no byte."""
    text = run(value, "45.50", value)
    samples = decode_samples(text)
    assert [ms for ms, _ in samples] == [T0, T0 + 300_000, T0 + 600_000]
    assert text == encode_samples(samples)


def test_decode_values_beyond_float() -> None:
    """
    A number too large for a float is an infinity, and the values beside it are what they were.
    """
    texts = ("1e400", "-1e400", '"a"', "null", "1.5", "7", '"\\ud800"', "1" + "0" * 5000)
    samples = decode_samples(run(*texts))
    values = decode_values([raw for _, raw in samples])
    assert values == [math.inf, -math.inf, "a", None, 1.5, 7, "\ufffd", math.inf]
