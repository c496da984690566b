"""Tests of splicing: what comes out is a gzip member like any other."""

from __future__ import annotations

import gzip
import struct
import subprocess
import zlib

import pytest

from builders import samples
from building_vitals.series.splicing import (
    STORED_BLOCK_BYTES_MAX,
    Splicer,
    fragment,
    growth,
    inflate,
    stored,
)

GIB = 1 << 30


def gunzip(body: bytes) -> bytes:
    """Return the text of a body that is one gzip member and nothing behind it."""
    reader = zlib.decompressobj(31)
    text = reader.decompress(body)
    assert reader.eof
    assert b"" == reader.unused_data
    assert text == gzip.decompress(body)
    return text


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([], b"", id="nothing"),
        pytest.param([b""], b"", id="empty glue"),
        pytest.param([b"{}"], b"{}", id="glue alone"),
        pytest.param(["[1,2]"], b"[1,2]", id="a fragment alone"),
        pytest.param([b"[", "[1,2]", b",", "[3,4]", b"]"], b"[[1,2],[3,4]]", id="by turns"),
        pytest.param([""], b"", id="an empty fragment"),
        pytest.param([b"x" * 70_000], b"x" * 70_000, id="glue of several blocks"),
        pytest.param(["x" * 900_000, b"!"], b"x" * 900_000 + b"!", id="a long fragment"),
    ],
)
def test_parts_become_one_member(parts: list[bytes | str], expected: bytes) -> None:
    """
    Glue (bytes) and fragments (text) make a member that Python and gzip(1) read and find whole.
    """
    splicer = Splicer()
    for part in parts:
        if isinstance(part, bytes):
            splicer.add_text(part)
        else:
            splicer.add_fragment(fragment(part.encode()), part.encode())
    body = splicer.finish()

    assert expected == gunzip(body)
    assert len(expected) == splicer.text_bytes
    subprocess.run(["gzip", "-t"], input=body, check=True)  # noqa: S607


def test_runs_become_one_member_for_gzip() -> None:
    """
    A run of stored frames, one from a series' middle and its end, is a member gzip(1) finds whole.
    """
    series = samples(" ".join(f"{t}:{t}.50" for t in range(400))).series([100, 100, 100])
    splicer, expected = Splicer(), b"["
    splicer.add_text(b"[")
    for first, last, glue in ((1, 2, b","), (3, 3, b","), (0, 3, b"]")):
        begin, end = series.frames[first], series.frames[last]
        splicer.add_run(
            series.data[begin.offset : end.offset + end.stored_bytes],
            end.raw_end - begin.text_offset,
            end.crc,
            end.crc_growth,
            (begin.crc_before, begin.crc_shrink),
        )
        splicer.add_text(glue)
        expected += b",".join(b"[%d,%d.50]" % (t, t) for t in range(100 * first, 100 * last + 100))
        expected += glue
    body = splicer.finish()

    assert expected == gunzip(body)
    subprocess.run(["gzip", "-t"], input=body, check=True)  # noqa: S607


def test_taking_early_changes_nothing() -> None:
    """What is taken on the way and the rest are together the same body."""
    whole, parts = Splicer(), Splicer()
    taken = []
    for text in (b"a" * 100, b"", b"b" * 100):
        for splicer in (whole, parts):
            splicer.add_fragment(fragment(text), text)
        taken.append(parts.take())
    taken.append(parts.take())

    assert whole.finish() == b"".join(taken) + parts.finish()


@pytest.mark.parametrize("length", [0, 1, STORED_BLOCK_BYTES_MAX, STORED_BLOCK_BYTES_MAX + 1])
def test_stored_text_is_a_fragment(length: int) -> None:
    """Stored blocks hold any length of text, as a fragment does."""
    text = bytes(range(256)) * 257

    assert text[:length] == inflate(stored(text[:length]), length)


@pytest.mark.parametrize(
    ("data", "length"),
    [
        pytest.param(fragment(b"abc"), 2, id="more than expected"),
        pytest.param(fragment(b"abc"), 4, id="less than expected"),
        pytest.param(fragment(b"abc")[:-6], 3, id="cut short"),
        pytest.param(b"", 3, id="nothing"),
        pytest.param(b"\xff" * 20, 3, id="no DEFLATE"),
        pytest.param(b"<html></html>", 3, id="a page"),
        pytest.param(fragment(b"\0" * 10_000_000), 3, id="a bomb"),
    ],
)
def test_other_bytes_are_refused(data: bytes, length: int) -> None:
    """Bytes that do not hold the text of that length are refused by ValueError."""
    with pytest.raises(ValueError, match="fragment"):
        inflate(data, length)


def _times_x(polynomial: int, exponent: int) -> int:
    """Return polynomial * x^exponent modulo the CRC-32 polynomial, bit 0 being x^0."""
    square, left = 0b10, exponent
    while left:
        if left & 1:
            polynomial = _times(polynomial, square)
        square, left = _times(square, square), left >> 1
    return polynomial


def _times(one: int, other: int) -> int:
    product = 0
    for bit in range(other.bit_length()):
        if other >> bit & 1:
            product ^= one << bit
    for bit in range(product.bit_length() - 1, 31, -1):
        if product >> bit & 1:
            product ^= 0x1_04C1_1DB7 << (bit - 32)
    return product


def _crc_of_zeros(length: int) -> int:
    """Return the CRC-32 of so many zero bytes, from its definition (RFC 1952, section 8)."""
    remainder = _times_x(0xFFFFFFFF, 8 * length)
    return int(f"{remainder:032b}"[::-1], 2) ^ 0xFFFFFFFF


def test_definition_of_the_oracle() -> None:
    """The definition used below agrees with zlib where zlib can be asked."""
    for length in (0, 1, 5, 1_000_000):
        assert zlib.crc32(bytes(length)) == _crc_of_zeros(length)


@pytest.mark.parametrize("length", [4 * GIB - 1, 4 * GIB, 4 * GIB + 1, 5 * GIB + 7, 1000 * GIB])
def test_texts_of_many_gigabytes(length: int) -> None:
    """Behind 4 GiB the CRC stays right and the length counts modulo 2^32, as RFC 1952 has it."""
    half = length // 2
    splicer = Splicer()
    for part in (half, length - half):
        splicer.add_run(b"", part, _crc_of_zeros(part), growth(part))

    assert struct.pack("<II", _crc_of_zeros(length), length % 2**32) == splicer.finish()[-8:]
    assert length == splicer.text_bytes


def test_a_run_behind_gigabytes_of_its_series() -> None:
    """What a run leaves out in front may be longer than 4 GiB too."""
    before, part = 5 * GIB + 3, 1000
    splicer = Splicer()
    splicer.add_run(
        b"",
        part,
        _crc_of_zeros(before + part),
        growth(before + part),
        (_crc_of_zeros(before), growth(-before)),
    )

    assert struct.pack("<II", _crc_of_zeros(part), part) == splicer.finish()[-8:]
