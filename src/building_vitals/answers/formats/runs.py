"""
Pieces of any size as runs of samples of bounded size, from bytes that come some at a time.

Separate because a piece may be the whole of a segment: years of one point in megabytes, whose text
is five times that, and ten times more as objects of Python.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from building_vitals.cache.segments import Check, Piece, cut_piece_text
from building_vitals.series.frames import COMMA

# Bytes of text that are inflated at a time: some 3,000 samples. As rows of a point with a long name
# they are ten times that, and some copies on the way.
RUN_TEXT_MAX = 65_536

_BETWEEN = b"],["
# Text among the values, also where its end has not come yet. It is JSON of our own making.
_STRINGS = re.compile(rb'("(?:[^"\\]++|\\.)*+\\?(?:"|\Z))', re.DOTALL)
_STRING_MARK = b"\x01"
_NOTHING = Check(0, 0)
_COMMA = Check(len(COMMA), zlib.crc32(COMMA))


def last_boundary(text: bytes) -> int:
    """
    Return where the comma stands that parts the last two samples, as far as can be told; else -1.

    Args:
        text: Samples' JSON text without the outer brackets; the last one may be cut anywhere.

    Cost: O(n) in C, whatever brackets and commas the values hold.
    """
    if b'"' not in text:
        return _boundary_without_strings(text)
    parts = _STRINGS.split(text)
    at = _boundary_without_strings(_STRING_MARK.join(parts[::2]))
    if at < 0:
        return -1
    before = _STRING_MARK.join(parts[::2]).count(_STRING_MARK, 0, at)
    return at - before + sum(map(len, parts[1 : 2 * before : 2]))


def _boundary_without_strings(text: bytes) -> int:
    """Return the same for text without strings, where brackets alone tell how deep it is."""
    depth, stop = text.count(b"[") - text.count(b"]"), len(text)
    while (at := text.rfind(_BETWEEN, 0, stop)) >= 0:
        depth -= text.count(b"[", at + 1, stop) - text.count(b"]", at + 1, stop)
        if depth == 0:
            return at + 1
        stop = at + 1
    return -1


class PieceCheck:
    """Tells whether the bytes of a piece, some at a time, are those that were stored."""

    def __init__(self, piece: Piece) -> None:
        self._spans = iter([span for each in piece.checks for span in (_COMMA, each)][1:])
        self._left, self._crc, self._expected = 0, 0, 0

    def add(self, data: memoryview) -> None:
        """
        Look at the next bytes.

        Raises:
            ValueError: they are not those that were stored.
        """
        offset = 0
        while offset < len(data):
            if not self._left:
                self._left, self._expected, self._crc = next(self._spans, _NOTHING)
                if not self._left:
                    raise ValueError("more bytes than were stored")
            part = data[offset : offset + self._left]
            self._crc = zlib.crc32(part, self._crc)
            self._left -= len(part)
            offset += len(part)
            if not self._left and self._crc != self._expected:
                raise ValueError("bytes are not those that were stored")

    def end(self) -> None:
        """
        Return when nothing is missing.

        Raises:
            ValueError: bytes are missing.
        """
        if self._left or next(self._spans, None) is not None:
            raise ValueError("fewer bytes than were stored")


class RunReader:
    """Inflates a piece, window by window, into runs of whole samples."""

    def __init__(self, piece: Piece) -> None:
        self._check = PieceCheck(piece)
        self._inflate = zlib.decompressobj(-15)
        self._left = piece.text_bytes
        # The end of the text so far, of which more may come.
        self._tail = b""

    def read(self, data: bytes | memoryview) -> Iterator[bytes]:
        """
        Yield the runs that the next bytes of the piece complete.

        Raises:
            ValueError: the bytes are not those that were stored.
        """
        self._check.add(memoryview(data))
        rest: bytes | memoryview = data
        while True:
            try:
                text = self._inflate.decompress(rest, RUN_TEXT_MAX)
            except zlib.error as error:
                raise ValueError(f"not a DEFLATE fragment: {error}") from error
            rest, is_full = self._inflate.unconsumed_tail, len(text) == RUN_TEXT_MAX
            self._left -= len(text)
            if self._left < 0:
                raise ValueError("more text than was stored")
            text = self._tail + text
            comma = last_boundary(text)
            self._tail = text[comma + 1 :]
            if comma > 0:
                yield text[:comma]
            if not rest and not is_full:
                return

    def end(self) -> bytes:
        """
        Return the last run.

        Raises:
            ValueError: the piece is not whole.
        """
        self._check.end()
        if self._left:
            raise ValueError("less text than was stored")
        tail, self._tail = self._tail, b""
        return tail


class PieceRuns:
    """Reads pieces that follow each other, window by window, into runs of whole samples."""

    def __init__(self) -> None:
        self._reader: RunReader | None = None

    def read(
        self, piece: Piece, data: bytes | memoryview, *, is_last: bool = True
    ) -> Iterator[tuple[int, bytes]]:
        """
        Yield the runs that the next bytes of a piece complete; *is_last* says they are its last.

        Yields:
            How many samples of the piece are known to have come since the step before, and a run;
            both may be empty.

        Raises:
            ValueError: the bytes are not that piece.
        """
        if piece.frame is not None:
            yield cut_piece_text(piece, data)
            return
        reader = self._reader = self._reader or RunReader(piece)
        for text in reader.read(data):
            yield 0, text
        if is_last:
            self._reader = None
            yield piece.count, reader.end()
