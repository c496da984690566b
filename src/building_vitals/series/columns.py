"""
Pages as columns: the times and values of each point, their instants and texts, by few calls over
many.

Separate because it is all about speed: work per sample costs a job of millions of samples
most of its time, the more so in WebAssembly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import Any, NamedTuple, Protocol

import msgspec

from building_vitals.instants import EPOCH, MILLISECOND, parse_iso

_NUMBERS = msgspec.json.Decoder(list[float])
# Without an offset of hours in it, a text of this length has microseconds and no finer fraction,
# which would be rounded instead of cut.
_MICROSECONDS_LENGTH_MAX = len("2025-01-01T00:00:00.123456Z")


class Sample(Protocol):
    """One sample as the upstream sent it."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def time(self) -> str: ...


class Column(NamedTuple):
    """
    Samples of one point, in the order they were sent.

    Attributes:
        point: Its name.
        times: Of the samples, as sent; columns with the same times may share the list.
        values: As many, as decoded.
    """

    point: str
    times: list[str]
    values: list[Any]


def columns(samples: Sequence[Sample], points: Mapping[str, object]) -> Iterator[Column]:
    """
    Yield the samples of each of *points* that has any.

    A point may come several times, with parts of its samples in their order.
    """
    names = [sample.name for sample in samples]
    block = names[: _period(names)]
    width = len(block)
    rows = len(names) // width if width else 0
    whole = rows * width
    if not rows or names[:whole] != block * rows or len(set(block)) != width:
        yield from _grouped(samples, points)
        return
    # Whole passes over the page first: objects are read in the order they lie in memory.
    times = [sample.time for sample in samples]
    values = [sample.value for sample in samples]
    moments = times[:whole:width]
    spread = zip(*repeat(moments, width), strict=True)
    is_shared = times[:whole] == list(chain.from_iterable(spread))
    for column, name in enumerate(block):
        if name in points:
            own = moments if is_shared else times[column:whole:width]
            yield Column(name, own, values[column:whole:width])
    yield from _grouped(samples[whole:], points)


def _period(names: Sequence[str]) -> int:
    """Return after how many samples the first one's point comes again; 0 when it does not."""
    try:
        return names.index(names[0], 1)
    except (IndexError, ValueError):
        return 0


def _grouped(samples: Sequence[Sample], points: Mapping[str, object]) -> Iterator[Column]:
    groups: dict[str, list[Sample]] = {point: [] for point in points}
    appends = {point: group.append for point, group in groups.items()}
    others: list[Sample] = []
    find, drop = appends.get, others.append
    for sample in samples:
        find(sample.name, drop)(sample)
    for point, group in groups.items():
        if group:
            times = [sample.time for sample in group]
            yield Column(point, times, [sample.value for sample in group])


def are_plain(values: Sequence[Any]) -> bool:
    """Return whether all values are text of JSON numbers as they stand."""
    try:
        text = ",".join(values)
        # Numbers as many as values: none holds a comma, since none can be empty instead.
        return len(_NUMBERS.decode(f"[{text}]")) == len(values) and text.split(None, 1) == [text]
    except (TypeError, UnicodeEncodeError, msgspec.DecodeError):
        return False


def instants_of(times: Sequence[str]) -> list[int]:
    """
    Return the instants of times, each as `parse_iso` reads it, ten times as fast.

    Args:
        times: At least one.

    Raises:
        ValueError: one of them is not an ISO 8601 instant.
    """
    if max(map(len, times)) <= _MICROSECONDS_LENGTH_MAX:
        try:
            # TypeError: a time without an offset can't be subtracted from one that has it.
            moments = msgspec.convert(times, list[datetime])
            return [(moment - EPOCH) // MILLISECOND for moment in moments]
        except (ValueError, TypeError):
            pass
    return list(map(parse_iso, times))


def head_text(instant_ms: int) -> str:
    """Return the text between the value of the sample before and that of this instant's."""
    return f"],[{instant_ms},"


def woven_text(heads: Sequence[str], values: Sequence[str]) -> bytes:
    """
    Return the JSON text of samples without the outer brackets.

    Args:
        heads: `head_text` of their instants; not empty.
        values: JSON texts of their values, as many.
    """
    woven = [""] * (2 * len(heads))
    woven[::2] = heads
    woven[1::2] = values
    woven[0] = woven[0][2:]
    woven.append("]")
    return "".join(woven).encode()
