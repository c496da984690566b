"""How a dataset's bytes are made smaller, and back."""

from __future__ import annotations

import gzip
import json
import random

import pytest

from building_vitals.datasets.dataset import Dataset, compress, decompress

TEXT = b"time,point,value\r\n" * 100
NOISE = random.Random(1).randbytes(500)


class Half:
    """
    A Compressor that makes a text as short as it is told to.

    Attributes:
        size: Bytes it makes of anything.
    """

    encoding = "half"

    def __init__(self, size: int) -> None:
        self.size = size

    def compress(self, data: bytes) -> bytes:
        """Return so many bytes."""
        return b"h" * self.size

    def decompress(self, data: bytes, size: int) -> bytes:
        """Return what it was told to."""
        return b"d" * size


@pytest.mark.parametrize(
    ("data", "asked", "compressor", "expected"),
    [
        pytest.param(TEXT, "gzip", None, "gzip", id="text"),
        pytest.param(NOISE, "gzip", None, None, id="noise grows"),
        pytest.param(b"", "gzip", None, None, id="nothing"),
        pytest.param(TEXT, "half", Half(5), "half", id="another way is shorter"),
        pytest.param(TEXT, "half", Half(500), "gzip", id="another way is longer than gzip"),
        pytest.param(TEXT, "gzip", Half(5), "gzip", id="another way was not asked for"),
        pytest.param(TEXT, "half", None, "gzip", id="another way is not there"),
        pytest.param(NOISE, "half", Half(499), "half", id="a byte shorter"),
        pytest.param(NOISE, "half", Half(500), None, id="not a byte shorter"),
    ],
)
def test_the_shortest_is_stored(
    data: bytes, asked: str, compressor: Half | None, expected: str | None
) -> None:
    """As it is, gzip, or what was asked for: the shortest, and of equals the plainest."""
    stored, encoding = compress(data, asked, compressor)
    assert expected == encoding
    if encoding != "half":
        assert data == decompress(stored, encoding, len(data), None)


def test_no_more_is_made_than_the_size_says() -> None:
    """A small object that would fill the memory is cut one byte behind its size."""
    bomb = gzip.compress(bytes(10_000_000))
    assert bytes(101) == decompress(bomb, "gzip", 100, None)


@pytest.mark.parametrize(
    ("stored", "encoding", "reason"),
    [
        pytest.param(b"no gzip", "gzip", "not gzip", id="other bytes"),
        pytest.param(TEXT, "half", "unknown encoding: half", id="an encoding nobody knows here"),
        pytest.param(TEXT, "", "unknown encoding", id="an empty encoding"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(stored: bytes, encoding: str, reason: str) -> None:
    """Whoever reads it drops it, whatever is wrong."""
    with pytest.raises(ValueError, match=reason):
        decompress(stored, encoding, 10, None)


def test_another_way_back_is_the_compressors() -> None:
    """What is not compressed is as it is, what another way made is read by that."""
    assert TEXT == decompress(TEXT, None, 1, Half(1))
    assert b"ddd" == decompress(b"h", "half", 3, Half(1))


def test_json_is_read_from_the_content() -> None:
    """A dataset is bytes; whoever knows them to be JSON reads them."""
    made = Dataset(json.dumps({"a": [1]}).encode(), "application/json", 0, 0, 0, 0, None)
    assert {"a": [1]} == made.json()
