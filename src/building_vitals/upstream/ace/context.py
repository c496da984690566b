"""What the streams of one fetch share: its calls, its sink, and what it has seen so far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from building_vitals.ranges import Range
from building_vitals.series.columns import instants_of
from building_vitals.upstream.ace.calls import Call, Calls
from building_vitals.upstream.ace.comparison import SETTLED_AFTER_MS, Tail, tail_of
from building_vitals.upstream.ace.fetch_report import OnReport
from building_vitals.upstream.ace.wire import WireSample
from building_vitals.upstream.port import GoesOn, SampleSink
from building_vitals.upstream.profile import Observation


class Stream(Protocol):
    """A part of a fetch: its answers come one after the other."""

    async def run(self) -> None:
        """Give the sink all samples of this part."""
        ...


class FetchContext:
    """
    The calls, sink and locks that the streams of one fetch share.

    Attributes:
        page_size: Samples to ask for in a page; falls when pages die on their way.
        seen: What the fetch shows of the upstream.
        goes_on: Asked before another page is asked for, whether one is still wanted.
        tail: The last samples of the last answer that has any, where they are to be compared.
    """

    def __init__(
        self,
        calls: Calls,
        sink: SampleSink,
        on_page: OnReport | None,
        require_site: Callable[[], Awaitable[None]],
        *,
        page_size: int,
        seen: Observation,
        keeps_tail: bool = False,
        goes_on: GoesOn = lambda: True,
    ) -> None:
        self.goes_on = goes_on
        self.calls = calls
        self.sink = sink
        self.page_size = page_size
        self.seen = seen
        self.tail: Tail | None = None
        self._keeps_tail = keeps_tail
        # Held while a page is decoded and folded: with any number of streams, one page at a time
        # exists as Python objects (about five times the size of its bytes).
        self.desk = asyncio.Lock()
        self._on_page = on_page
        self._require_site = require_site
        self._site_door = asyncio.Lock()

    async def site_exists(self) -> None:
        """
        Return when the upstream knows the site.

        Streams without samples ask one after the other: all but the first get the remembered
        answer.
        """
        async with self._site_door:
            await self._require_site()

    def add(self, call: Call, samples: Sequence[WireSample], part: Range | None = None) -> None:
        """
        Give the sink the samples of an answer, and count them.

        Args:
            call: The call that was answered.
            samples: As they were sent.
            part: The stream's part of the range, when other streams fetch the rest for the same
                points: samples outside of it are dropped here, because the sink cannot tell which
                stream sent them.
        """
        seen = self.seen
        seen.requests += 1
        seen.samples += len(samples)
        seen.busy_ms += call.took_ms
        self.calls.report.samples_received += len(samples)
        if samples and (last_ms := time_of(samples[-1])) is not None:
            seen.newest_ms = max(seen.newest_ms or last_ms, last_ms)
        if self._keeps_tail and part is not None:
            self._keep_tail(samples, part)
        self.sink.add_page(samples if part is None else _cut(samples, part))

    def _keep_tail(self, samples: Sequence[WireSample], part: Range) -> None:
        settled_ms = self.calls.clock.now_ms() - SETTLED_AFTER_MS
        settled = part.clip(Range(part.start_ms, settled_ms))
        if settled is not None:
            self.tail = tail_of(samples, settled) or self.tail

    async def advance(self, points: Collection[str] | None, until_ms: int | None) -> None:
        """Tell the sink what is complete, None for nothing new; then the follower of the fetch."""
        if until_ms is not None:
            self.sink.advance(points, until_ms)
        if self._on_page is not None:
            await self._on_page(self.calls.report)


def time_of(sample: WireSample) -> int | None:
    """Return a sample's instant; None where it can't be read."""
    return instants_of([sample.time])[0]


def _cut(samples: Sequence[WireSample], part: Range) -> Sequence[WireSample]:
    """Return the samples in a part of the range, and those with an unreadable time."""
    distinct = list({sample.time for sample in samples})
    instants = zip(distinct, instants_of(distinct), strict=True)
    outside = {
        time
        for time, at_ms in instants
        if at_ms is not None and not part.start_ms <= at_ms < part.end_ms
    }
    if not outside:
        return samples
    return [sample for sample in samples if sample.time not in outside]


async def run_streams(streams: Sequence[Stream], *, width: int) -> None:
    """
    Run streams in their order, *width* at a time; when one fails, cancel the others.

    Args:
        streams: A stream that waits for another comes after it.
        width: Streams that run at once, with one request each.

    Raises:
        The first failure, after all streams have ended.
    """
    waiting = iter(streams)

    async def work() -> None:
        for stream in waiting:
            await stream.run()

    if len(streams) == 1:
        await streams[0].run()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(width, len(streams))):
                group.create_task(work())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
