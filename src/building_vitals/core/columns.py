"""
Pages as columns: the samples of each point, and the texts of values, by few calls over many.

Separate from the folding because it is all about speed: what is done a sample at a time costs a
job of millions of samples most of its time, the more so in WebAssembly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

_NUMBERS = msgspec.json.Decoder(list[float])


class Sample(Protocol):
    """
    One sample as the upstream sent it.
    """

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def time(self) -> str: ...


def by_point(
    samples: Sequence[Sample], points: Mapping[str, object]
) -> Iterator[tuple[str, Sequence[Sample]]]:
    """
    Yield the samples of each of *points* that has any, in the order they were sent.

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
    for column, name in enumerate(block):
        if name in points:
            yield name, samples[column:whole:width]
    yield from _grouped(samples[whole:], points)


def _period(names: Sequence[str]) -> int:
    """
    Return after how many samples the first one's point comes again; 0 when it does not.
    """
    try:
        return names.index(names[0], 1)
    except (IndexError, ValueError):
        return 0


def _grouped(
    samples: Iterable[Sample], points: Mapping[str, object]
) -> Iterator[tuple[str, Sequence[Sample]]]:
    groups: dict[str, list[Sample]] = {point: [] for point in points}
    appends = {point: group.append for point, group in groups.items()}
    others: list[Sample] = []
    find, drop = appends.get, others.append
    for sample in samples:
        find(sample.name, drop)(sample)
    for point, group in groups.items():
        if group:
            yield point, group


def plain_tails(values: Sequence[Any]) -> list[str] | None:
    """
    Return each value and a closing bracket, if all of them are text of JSON numbers as they stand.

    Returns:
        None when some value needs a closer look.
    """
    try:
        text = ",".join(values)
        if len(_NUMBERS.decode(f"[{text}]")) != len(values) or text.split(None, 1) != [text]:
            return None
    except (TypeError, UnicodeEncodeError, msgspec.DecodeError):
        return None
    tails = ("],".join(values) + "]").split(",")
    return tails if len(tails) == len(values) else None
