"""
Joins DEFLATE fragments into one gzip member without looking at what they hold.

A fragment is raw DEFLATE that ends with a full flush: byte-aligned, without a final block, without
a reference outside itself, so fragments can follow each other (RFC 1951). What is left is the
CRC-32 of the whole for the trailer (RFC 1952), and CRCs combine:

    crc(A + B) = x^(8 * len(B)) * crc(A) + crc(B)    over GF(2), modulo the CRC-32 polynomial

(zlib's `crc32_combine`, Mark Adler). Numbers are bit-reversed as in zlib: bit 31 is x^0.

A *growth* is x^(8 * length - 32), the factor for `length` bytes: 32 powers too small, because
`multiply` reduces the 63-bit product with `zlib.crc32`, which multiplies by x^32 on its way.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
STORED_BLOCK_BYTES_MAX = 0xFFFF
# With the strategy for many small numbers, level 5 makes 5.56 and 4.35 bytes per sample (random and
# wave-like values) in 216 and 141 ns; level 6 without makes 5.64 and 4.27 in 332 and 248 ns.
# CPython 3.11, 2026-11-24, frames of 576 samples.
COMPRESSION_LEVEL = 5

_POLYNOMIAL = 0xEDB88320
_ALL_BITS = 0xFFFFFFFF
_ONE = 1 << 31
_X = 1 << 30
# The powers of x repeat with this period, because the polynomial is primitive.
_ORDER = (1 << 32) - 1
_LOW_BITS = int.from_bytes(b"\x01" * 32, "big")
_PARITY = bytes(ord("0") + (count & 1) for count in range(256))


def multiply(growth: int, crc: int) -> int:
    """
    Return x^32 * growth * crc modulo the CRC-32 polynomial.

    Each bit becomes a byte, so that one multiplication of long integers counts, byte by byte, the
    terms of each power; their parities are the carry-less product. Three times as fast as the
    32-step loop in plain Python (1.5 against 4.4 microseconds in CPython 3.11).
    """
    spread = (int.from_bytes(format(growth, "032b").encode(), "big") & _LOW_BITS) * (
        int.from_bytes(format(crc, "032b").encode(), "big") & _LOW_BITS
    )
    product = int(spread.to_bytes(64, "big").translate(_PARITY), 2)
    return zlib.crc32((product << 1).to_bytes(8, "little"), _ALL_BITS) ^ _ALL_BITS


def _multiply_slowly(a: int, b: int) -> int:
    """Return a * b modulo the polynomial, bit by bit: the definition, for the constants below."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
    return product


def _power(exponent: int) -> int:
    """Return x^exponent modulo the polynomial; the exponent may be negative."""
    result, base, left = _ONE, _X, exponent % _ORDER
    while left:
        if left & 1:
            result = _multiply_slowly(result, base)
        base = _multiply_slowly(base, base)
        left >>= 1
    return result


_NO_GROWTH = _power(-32)


@cache
def _byte_growth(position: int, byte: int) -> int:
    """Return the growth of byte * 256^position bytes; of as many less, when *byte* is negative."""
    if position == 0 and abs(byte) == 1:
        return _power(8 * byte - 32)
    half, sign = abs(byte) // 2, (1 if byte > 0 else -1)
    if half == 0:
        # 256^position is twice the half of it.
        half_growth = _byte_growth(position - 1, sign * 128)
        return multiply(half_growth, half_growth)
    half_growth = _byte_growth(position, sign * half)
    double = multiply(half_growth, half_growth)
    return multiply(_byte_growth(position, sign), double) if abs(byte) % 2 else double


def growth(length: int) -> int:
    """
    Return the factor that makes room for *length* bytes behind a CRC.

    Args:
        length: Bytes, below 2^40; negative takes bytes away (x^(8 * length) all the same).
    """
    sign, rest, position = (1 if length >= 0 else -1), abs(length), 0
    result = _NO_GROWTH
    while rest:
        if rest & 0xFF:
            factor = _byte_growth(position, sign * (rest & 0xFF))
            result = factor if result == _NO_GROWTH else multiply(factor, result)
        rest, position = rest >> 8, position + 1
    return result


def fragment(text: bytes, level: int = COMPRESSION_LEVEL) -> bytes:
    """Return *text* as a DEFLATE fragment."""
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED)
    return deflate.compress(text) + deflate.flush(zlib.Z_FULL_FLUSH)


def stored(text: bytes) -> bytes:
    """Return *text* as stored blocks: a fragment that costs no compression."""
    if len(text) <= STORED_BLOCK_BYTES_MAX:
        # As almost all glue is, between each two pieces of an answer.
        return struct.pack("<BHH", 0, len(text), len(text) ^ 0xFFFF) + text if text else b""
    blocks = []
    for start in range(0, len(text), STORED_BLOCK_BYTES_MAX):
        block = text[start : start + STORED_BLOCK_BYTES_MAX]
        blocks.append(struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF) + block)
    return b"".join(blocks)


def inflate(data: bytes | memoryview, length_max: int) -> bytes:
    """
    Return the text of one or more fragments.

    Args:
        data: Whole fragments.
        length_max: The text's length in bytes, known beforehand.

    Raises:
        ValueError: *data* is not DEFLATE, or holds more or less than *length_max* bytes.
    """
    try:
        text = zlib.decompressobj(-15).decompress(data, length_max + 1)
    except zlib.error as error:
        raise ValueError(f"not a DEFLATE fragment: {error}") from error
    if len(text) != length_max:
        raise ValueError(f"fragment holds {len(text)} bytes or more, expected {length_max}")
    return text


class Splicer:
    """
    Collects fragments and glue, and knows the CRC and the size of the text so far.

    Attributes:
        text_bytes: Bytes of text so far.
        crc: CRC-32 of it.
    """

    __slots__ = ("_parts", "crc", "text_bytes")

    def __init__(self, text_bytes: int = 0, crc: int = 0, *, is_begun: bool = False) -> None:
        """
        Args:
            text_bytes: Bytes of text whose fragments are elsewhere.
            crc: CRC-32 of that text.
            is_begun: Whether the header is elsewhere too, even if no text follows it.
        """
        self._parts: list[bytes | memoryview] = [] if is_begun else [GZIP_HEADER]
        self.text_bytes = text_bytes
        self.crc = crc

    def add_text(self, text: bytes) -> None:
        """Append *text* uncompressed; meant for the short pieces between fragments."""
        self._parts.append(stored(text))
        self.crc = zlib.crc32(text, self.crc)
        self.text_bytes += len(text)

    def add_fragment(self, data: bytes, text: bytes) -> None:
        """Append a fragment whose text is at hand."""
        self._parts.append(data)
        self.crc = zlib.crc32(text, self.crc)
        self.text_bytes += len(text)

    def add_run(
        self,
        data: bytes | memoryview,
        length: int,
        crc: int,
        crc_growth: int,
        before: tuple[int, int] | None = None,
    ) -> None:
        """
        Append fragments of which only the CRCs are known.

        Args:
            data: The fragments; what is missing of them follows with `add_rest`.
            length: Bytes of their text.
            crc: CRC-32 up to the end of that text, counted from where the series begins.
            crc_growth: Growth of the text from there.
            before: When the series begins before this run: CRC-32 of what is left out and the
                growth of minus its length.
        """
        self._parts.append(data)
        total = self.crc
        if before is not None:
            total = multiply(before[1], total ^ before[0])
        self.crc = multiply(crc_growth, total) ^ crc
        self.text_bytes += length

    def add_rest(self, data: bytes | memoryview) -> None:
        """Append more bytes of the run that was appended last."""
        self._parts.append(data)

    def take(self) -> bytes:
        """Return what has come together since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)

    def finish(self) -> bytes:
        """Return the rest, with the final empty block and the trailer."""
        self._parts.append(b"\x03\x00" + struct.pack("<II", self.crc, self.text_bytes & _ALL_BITS))
        return self.take()
