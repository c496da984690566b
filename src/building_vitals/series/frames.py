"""
Frames, and the series of frames that make up one point's part of an object.

A frame is the JSON text of consecutive samples without the outer brackets, as a DEFLATE fragment.
In a series, a stored block with a comma lies between frames, so that any run of neighbouring
frames is one slice of bytes whose text is valid between brackets. Every frame knows the CRC-32 of
the series up to its end, so that the CRC of any run is found without a look at the data
(`gzip_splice.Splicer.add_run`).
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from operator import itemgetter

import msgspec

from building_vitals.errors import CorruptSegment
from building_vitals.ranges import Range
from building_vitals.series.sample_text import Samples, decode_samples
from building_vitals.series.splicing import fragment, growth, inflate, multiply, stored

# A frame closes at the first UTC midnight after it holds this many samples.
FRAME_SAMPLES_MIN = 512
# Or, of a point with a sample a second or more, when it holds as many: a frame that is cut is
# inflated as a whole.
FRAME_SAMPLES_MAX = 8_192
_INSTANT = itemgetter(0)

COMMA = stored(b",")
NO_CRC = -1
NO_COUNT = -1


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Where a frame lies in its series, and what splicing needs to know of it.

    Attributes:
        offset: Bytes from the start of the series to the fragment.
        stored_bytes: Bytes of the fragment.
        text_offset: Bytes of the series' text before the frame's.
        text_bytes: Bytes of the frame's text.
        count: Samples.
        first_ms, last_ms: Instants of the first and the last sample.
        crc: CRC-32 of the series' text up to the frame's end.
        crc_growth: Growth of the series' text up to the frame's end.
        crc_before: CRC-32 of the series' text up to where the frame begins.
        crc_shrink: Growth of minus *text_offset*.
        data_crc: CRC-32 of the fragment's bytes, to notice when they are not what was stored.
        series_crc: CRC-32 of the series' bytes up to the frame's end, so that those of a run are
            looked at as a whole; NO_CRC in directories from before it was kept.
        samples_before: Samples of the series before the frame's, so that those of a run are known
            by its ends; NO_COUNT in directories from before it was kept.
    """

    offset: int
    stored_bytes: int
    text_offset: int
    text_bytes: int
    count: int
    first_ms: int
    last_ms: int
    crc: int
    crc_growth: int
    crc_before: int
    crc_shrink: int
    data_crc: int
    series_crc: int = NO_CRC
    samples_before: int = NO_COUNT

    @property
    def raw_end(self) -> int:
        """Bytes of the series' text up to the frame's end."""
        return self.text_offset + self.text_bytes

    @property
    def own_crc(self) -> int:
        """CRC-32 of the frame's text alone."""
        return self.crc ^ multiply(growth(self.text_bytes), self.crc_before)


class Series(msgspec.Struct, frozen=True, gc=False):
    """
    The frames of one point over one range, encoded.

    Attributes:
        frames: Their directory, in order of time; empty when there are no samples.
        data: Their bytes.
    """

    frames: tuple[Frame, ...]
    data: bytes

    @property
    def count(self) -> int:
        """Samples in all frames."""
        return sum(frame.count for frame in self.frames)


class SeriesBuilder:
    """Puts frames one behind the other."""

    __slots__ = (
        "_crc",
        "_crc_growth",
        "_frames",
        "_length",
        "_parts",
        "_samples",
        "_series_crc",
        "_text_bytes",
    )

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._frames: list[Frame] = []
        self._length = 0
        self._samples = 0
        self._text_bytes = 0
        self._crc = 0
        self._crc_growth = growth(0)
        self._series_crc = 0

    def add_text(
        self, first_ms: int, last_ms: int, count: int, text: bytes, data: bytes = b""
    ) -> None:
        """
        Append one frame, of samples after those of the frame before.

        Args:
            first_ms: Instant of its first sample.
            last_ms: Instant of its last sample.
            count: Samples; not 0.
            text: Their JSON text without the outer brackets, ascending.
            data: The text as fragments; it is deflated where they are left out.
        """
        data = data or fragment(text)
        self._append((first_ms, last_ms), count, data, text_bytes=len(text), crc=zlib.crc32(text))

    def add_frame(self, frame: Frame, data: bytes | memoryview) -> None:
        """Append a frame of another series as it is."""
        times = (frame.first_ms, frame.last_ms)
        self._append(
            times, frame.count, bytes(data), text_bytes=frame.text_bytes, crc=frame.own_crc
        )

    def _append(
        self, times: tuple[int, int], count: int, data: bytes, *, text_bytes: int, crc: int
    ) -> None:
        if self._frames:
            self._parts.append(COMMA)
            self._length += len(COMMA)
            self._series_crc = zlib.crc32(COMMA, self._series_crc)
            self._crc = zlib.crc32(b",", self._crc)
            self._crc_growth = multiply(growth(1), self._crc_growth)
            self._text_bytes += 1
        crc_before, crc_growth = self._crc, growth(text_bytes)
        self._crc = multiply(crc_growth, crc_before) ^ crc
        self._crc_growth = multiply(crc_growth, self._crc_growth)
        self._series_crc = zlib.crc32(data, self._series_crc)
        self._frames.append(
            Frame(
                offset=self._length,
                stored_bytes=len(data),
                text_offset=self._text_bytes,
                text_bytes=text_bytes,
                count=count,
                first_ms=times[0],
                last_ms=times[1],
                crc=self._crc,
                crc_growth=self._crc_growth,
                crc_before=crc_before,
                crc_shrink=growth(-self._text_bytes),
                data_crc=zlib.crc32(data),
                series_crc=self._series_crc,
                samples_before=self._samples,
            )
        )
        self._parts.append(data)
        self._samples += count
        self._length += len(data)
        self._text_bytes += text_bytes

    def build(self) -> Series:
        """Return the series."""
        return Series(tuple(self._frames), b"".join(self._parts))


def frame_text(frame: Frame, data: bytes | memoryview) -> bytes:
    """
    Return the text of one frame.

    Args:
        frame: Its place.
        data: The bytes of its fragment alone.

    Raises:
        ValueError: the bytes are not that frame.
    """
    text = inflate(data, frame.text_bytes)
    if zlib.crc32(text, frame.crc_before) != frame.crc:
        raise ValueError("frame holds another text than it was made of")
    return text


def _decode(text: bytes) -> Samples:
    try:
        return decode_samples(text)
    except CorruptSegment as error:
        raise ValueError(f"not the text of samples: {error}") from error


def value_texts(text: bytes) -> dict[int, str]:
    """
    Return the instant and the JSON text of the value of each sample.

    Args:
        text: Samples' JSON text without the outer brackets.

    Raises:
        ValueError: the text is not that of samples.
    """
    return {instant_ms: bytes(value).decode() for instant_ms, value in _decode(text)}


def cut_text(text: bytes, time_range: Range) -> tuple[int, bytes]:
    """
    Return the count and the text of those samples that lie in *time_range*.

    Both texts are JSON without the outer brackets, ascending.

    Raises:
        ValueError: the text is not that of samples.
    """
    if b'"' in text or text.count(b"[") != text.count(b"],[") + 1:
        # Text or lists among the values: only decoding tells where a sample begins.
        samples = _decode(text)
        first = bisect_left(samples, time_range.start_ms, key=_INSTANT)
        inside = samples[first : bisect_left(samples, time_range.end_ms, key=_INSTANT)]
        return len(inside), b",".join([b"[%d,%b]" % (ms, bytes(value)) for ms, value in inside])
    begin, end = _seek(text, time_range.start_ms), _seek(text, time_range.end_ms)
    if begin == end:
        return 0, b""
    kept = text[begin : end - 1]
    return kept.count(b"["), kept


def _seek(text: bytes, instant_ms: int) -> int:
    """
    Return where the first sample at or after an instant begins, one past the end if none does.

    The samples are ascending; the text has no other brackets than theirs.
    """
    low, high = 0, len(text) + 1
    while low < high:
        start = text.rfind(b"[", 0, (low + high) // 2 + 1)
        if int(text[start + 1 : text.index(b",", start)]) >= instant_ms:
            high = start
        else:
            following = text.find(b"[", start + 1)
            low = len(text) + 1 if following < 0 else following
    return low


def text_times(text: bytes) -> tuple[int, int]:
    """Return the instants of the first and the last sample of a text that is not empty."""
    samples = _decode(text)
    return samples[0][0], samples[-1][0]
