"""Splicing against plain bytes, and the arithmetic of CRCs against its definition."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from building_vitals.series.frames import Series, SeriesBuilder
from building_vitals.series.splicing import Splicer, fragment, growth, inflate, multiply, stored

WORDS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(-(2**38), 2**38)
BYTES = st.binary(max_size=60) | st.binary(min_size=1, max_size=3).map(lambda part: part * 50)
TEXTS = st.lists(st.binary(min_size=1, max_size=30) | BYTES.filter(bool), min_size=1, max_size=6)


def _reflect(word: int) -> int:
    return int(f"{word:032b}"[::-1], 2)


def _times(one: int, other: int) -> int:
    """Return the product modulo the CRC-32 polynomial by long division; zlib's order of bits."""
    one, other, product = _reflect(one), _reflect(other), 0
    for bit in range(32):
        if other >> bit & 1:
            product ^= one << bit
    for bit in range(64, 31, -1):
        if product >> bit & 1:
            product ^= 0x1_04C1_1DB7 << (bit - 32)
    return _reflect(product)


# x^32 modulo the polynomial is the polynomial without its highest term.
X32 = _reflect(0x04C1_1DB7)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_multiply_is_the_definition(one: int, other: int) -> None:
    """The fast product is the slow one times x^32."""
    assert _times(X32, _times(one, other)) == multiply(one, other)


@settings(deadline=None)
@given(LENGTHS, LENGTHS)
def test_growths_add_up(one: int, other: int) -> None:
    """To grow by one length and by another is to grow by both, also where one is negative."""
    assert growth(one + other) == multiply(growth(one), growth(other))


@settings(deadline=None)
@given(st.integers(-(2**20), 2**20), WORDS)
def test_growing_and_shrinking_undo_each_other(length: int, crc: int) -> None:
    """What a growth does, the growth of minus the length takes back."""
    assert crc == multiply(growth(-length), multiply(growth(length), crc))
    assert crc == multiply(growth(0), crc)


@settings(deadline=None)
@given(st.integers(0, 2**38))
def test_growths_repeat(length: int) -> None:
    """The powers of x come again after 2^32 - 1 bytes."""
    assert growth(length) == growth(length + 2**32 - 1) == growth(length - (2**32 - 1))


@settings(deadline=None)
@given(BYTES, BYTES)
def test_crcs_combine(before: bytes, behind: bytes) -> None:
    """The CRC of two texts together follows from theirs and a length."""
    combined = multiply(growth(len(behind)), zlib.crc32(before)) ^ zlib.crc32(behind)

    assert zlib.crc32(before + behind) == combined


@settings(deadline=None)
@given(st.lists(BYTES, max_size=5), st.integers(0, 9))
def test_fragments_follow_each_other(texts: list[bytes], level: int) -> None:
    """Fragments of any level, and stored ones, are together the text together."""
    data = b"".join(fragment(text, level) + stored(text) for text in texts)
    text = b"".join(text * 2 for text in texts)

    assert text == inflate(data, len(text)) == inflate(memoryview(data), len(text))


def series_of(texts: list[bytes]) -> Series:
    """Return a series with a frame of each text."""
    builder = SeriesBuilder()
    for number, text in enumerate(texts):
        builder.add_text(number, number, 1, text)
    return builder.build()


@st.composite
def bodies(draw: st.DrawFn) -> list[tuple[str, bytes, Series, int, int]]:
    """Draw what a body is made of: glue, a fragment, or a run of frames i..j of a series."""
    parts = []
    for kind in draw(st.lists(st.sampled_from(["glue", "fragment", "run"]), max_size=8)):
        texts = draw(TEXTS)
        first = draw(st.integers(0, len(texts) - 1))
        last = draw(st.integers(first, len(texts) - 1))
        expected = b",".join(texts[first : last + 1])
        parts.append((kind, expected, series_of(texts), first, last))
    return parts


@settings(deadline=None)
@given(bodies())
def test_any_body_is_the_text(parts: list[tuple[str, bytes, Series, int, int]]) -> None:
    """Whatever glue, fragments and runs a body is made of, it reads as their texts in a row."""
    splicer, expected, body = Splicer(), b"", b""
    for kind, text, series, first, last in parts:
        expected += text
        if kind == "glue":
            splicer.add_text(text)
        elif kind == "fragment":
            splicer.add_fragment(fragment(text), text)
        else:
            begin, end = series.frames[first], series.frames[last]
            splicer.add_run(
                memoryview(series.data)[begin.offset : end.offset + end.stored_bytes],
                end.raw_end - begin.text_offset,
                end.crc,
                end.crc_growth,
                (begin.crc_before, begin.crc_shrink) if first else None,
            )
        body += splicer.take()
    body += splicer.finish()

    assert expected == gzip.decompress(body) == zlib.decompress(body, 31)
    assert len(expected) == splicer.text_bytes


@settings(deadline=None)
@given(TEXTS)
def test_a_run_from_the_start_needs_nothing_before(texts: list[bytes]) -> None:
    """For a run that begins its series, to say what lies before makes no difference."""
    bodies = []
    series = series_of(texts)
    first, last = series.frames[0], series.frames[-1]
    for before in (None, (first.crc_before, first.crc_shrink)):
        splicer = Splicer()
        splicer.add_text(b"[")
        splicer.add_run(series.data, last.raw_end, last.crc, last.crc_growth, before)
        bodies.append(splicer.finish())

    assert bodies[0] == bodies[1]
    assert b"[" + b",".join(texts) == gzip.decompress(bodies[0])
