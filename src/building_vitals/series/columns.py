"""
Pages as columns: the times and values of each point, their instants and texts, by few calls over
many.

Separate because it is all about speed: work per sample costs a job of millions of samples
most of its time, the more so in WebAssembly.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from building_vitals.instants import EPOCH, MILLISECOND, parse_iso

_NUMBERS = msgspec.json.Decoder(list[float])
# As many decimals make 0 of a number without an exponent, and no fewer.
_ZEROS = "0" * 300
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
# A fraction finer than microseconds would be rounded instead of cut. Its seventh digit stands here.
_SEVENTH_PLACE = itemgetter(
    slice(len("2025-01-01T00:00:00.123456"), len("2025-01-01T00:00:00.1234567"))
)
_SEVENTH_DIGITS = frozenset("0123456789")


class Sample(Protocol):
    """One sample as the upstream sent it; its value is UNSET where it came without one."""

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


def columns(
    samples: Sequence[Sample],
    points: Mapping[str, object],
    on_names: Callable[[Collection[str]], object] = len,
) -> Iterator[Column]:
    """
    Yield the samples of each of *points* that has any.

    A point may come several times, with parts of its samples in their order.

    Args:
        samples: Of any points.
        points: Whose samples are wanted.
        on_names: Called with the names of all points that have samples, before *points* is looked
            into.
    """
    names = [sample.name for sample in samples]
    block = names[: _period(names)]
    width = len(block)
    rows = len(names) // width if width else 0
    whole = rows * width
    if not rows or names[:whole] != block * rows or len(set(block)) != width:
        on_names(set(names))
        yield from _grouped(samples, points)
        return
    on_names({*block, *names[whole:]})
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
        numbers = _NUMBERS.decode(f"[{text}]")
    except (TypeError, UnicodeEncodeError, msgspec.DecodeError):
        return False
    # Numbers as many as values: none holds a comma, since none can be empty instead.
    is_plain = len(numbers) == len(values) and text.split(None, 1) == [text]
    # Of a 0 among them, only these make it possible that it was not 0 as it was sent.
    may_vanish = "e" in text or "E" in text or _ZEROS in text
    return is_plain and not (may_vanish and 0.0 in numbers)


def instants_of(times: Sequence[str]) -> list[int | None]:
    """
    Return the instants of times, each as `parse_iso` reads it, ten times as fast.

    Args:
        times: Any number; with or without offsets, also mixed.

    Returns:
        As many; None for what is not an ISO 8601 instant.
    """
    if _SEVENTH_DIGITS.isdisjoint(map(_SEVENTH_PLACE, times)):
        try:
            moments = msgspec.convert(times, list[datetime])
        except ValueError:
            pass
        else:
            return [
                (moment - (_NAIVE_EPOCH if moment.tzinfo is None else EPOCH)) // MILLISECOND
                for moment in moments
            ]
    return list(map(_instant_or_none, times))


def _instant_or_none(time: str) -> int | None:
    try:
        return parse_iso(time)
    except ValueError:
        return None


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
