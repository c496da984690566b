"""
Follows the pages of one query from the first to the last, and runs several such streams.

Separate because its order of steps bounds memory and time: the request for the next page leaves
before the present page is decoded, bodies wait as bytes, and one page at a time is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from building_vitals.errors import UpstreamError
from building_vitals.instants import parse_iso
from building_vitals.ranges import Range
from building_vitals.upstream.ace.calls import Calls, FetchReport
from building_vitals.upstream.ace.targets import Target
from building_vitals.upstream.ace.wire import (
    Page,
    PageRefused,
    WireSample,
    cursor_after,
    decode_page,
    guess_cursor,
)
from building_vitals.upstream.port import SampleSink

# The upstream sends empty pages now and then, but never so many in a row.
EMPTY_PAGES_MAX = 1_000

TargetOf = Callable[[str | None], Target]


class FilterIgnored(Exception):
    """A page holds points that its filter does not name."""


class FetchContext:
    """The calls, sink and locks that the streams of one fetch share."""

    def __init__(
        self,
        calls: Calls,
        sink: SampleSink,
        on_page: Callable[[FetchReport], Awaitable[None]] | None,
        require_site: Callable[[], Awaitable[None]],
    ) -> None:
        self.calls = calls
        self.sink = sink
        self.on_page = on_page
        # Held while a page is decoded and folded: with any number of streams, one page at a time
        # exists as Python objects (about five times the size of its bytes).
        self.desk = asyncio.Lock()
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


class Stream:
    """
    The pages of one query, one after the other, with one request at a time.

    Attributes:
        done: Set when the last page has been folded.
        probed: Set when a page with samples has shown that the upstream applies the filter, or at
            the end.
    """

    def __init__(
        self,
        context: FetchContext,
        target_of: TargetOf,
        *,
        is_paged: bool = True,
        names: frozenset[str] | None = None,
        before: Stream | None = None,
        cut: Range | None = None,
    ) -> None:
        """
        Args:
            context: Shared with the other streams.
            target_of: Returns the target of a cursor; None for the first page.
            is_paged: Whether answers have cursors; if not, the first answer is the whole one.
            names: Points of the filter; a page with others raises FilterIgnored. None: no check.
            before: The stream whose pages must be folded before those of this one.
            cut: This stream's part of the range, when other streams fetch the rest: samples
                outside are dropped here, because the sink cannot tell which stream sent them.
        """
        self.done = asyncio.Event()
        self.probed = asyncio.Event()
        self._context = context
        self._target_of = target_of
        self._is_paged = is_paged
        self._names = names
        self._before = before
        self._cut = cut
        self._cursors: set[str] = set()
        self._empty_pages = 0
        self._call = context.calls.begin(target_of(None), may_be_absent=True)
        # The page on its way, and the page that has arrived: no other reference exists, so that
        # a body is freed as soon as it is decoded.
        self._ahead: asyncio.Task[bytes | None] | None = None
        self._body: bytes | None = None

    async def run(self) -> None:
        """
        Fetch all pages and give them to the sink.

        Raises:
            FilterIgnored: see *names*.
            UpstreamError: a page could not be fetched; the sink has only some of the samples.
        """
        try:
            self._ahead = asyncio.create_task(self._call.answer())
            while self._ahead is not None:
                await self._next_page()
        finally:
            await self._abandon()
        self.probed.set()
        self.done.set()

    async def _next_page(self) -> None:
        """Take the page that is on its way, and leave the request for the next on its way."""
        call = self._call
        self._body = await self._arrived()
        if self._before is not None:
            await self._before.done.wait()
        may_guess = True
        while self._body is not None:
            lie = await self._taken(may_guess=may_guess)
            if lie is None:
                if self._context.on_page is not None:
                    await self._context.on_page(self._context.calls.report)
                return
            may_guess = False
            await call.distrust(lie)
            self._body = await call.answer()
        await self._context.site_exists()

    async def _arrived(self) -> bytes | None:
        """Wait for the page that is on its way; return its body."""
        body = None if self._ahead is None else await self._ahead
        self._ahead = None
        return body

    async def _taken(self, *, may_guess: bool) -> str | None:
        """
        Fold the page that has arrived, or return why it is invalid.

        Args:
            may_guess: Whether to request the next page before this one is decoded; False after an
                invalid answer.
        """
        async with self._context.desk:
            body, self._body = self._body or b"", None
            guess = await self._guessed(body) if may_guess else None
            try:
                page = decode_page(body)
                del body
                cursor = self._checked_cursor(page)
            except PageRefused as refused:
                await self._abandon()
                return str(refused)
            self._check_names(page)
            if cursor != guess:
                await self._abandon()
            if cursor is not None:
                self._cursors.add(cursor)
                if cursor != guess:
                    await self._ask(cursor)
            self._context.calls.report.samples_received += len(page.point_samples)
            try:
                samples = page.point_samples
                self._context.sink.add_page(
                    samples if self._cut is None else _cut(samples, self._cut)
                )
            except ValueError as unreadable:
                path = self._target_of(None).path
                # Without the text itself: an upstream may send anything, even the Worker's token.
                raise UpstreamError(
                    f"upstream {path} sent a sample that cannot be read: its time is not ISO 8601",
                    upstream_status=200,
                ) from unreadable
        return None

    async def _guessed(self, body: bytes) -> str | None:
        """
        Request the next page before this one is decoded, if the end of the body has the cursor.

        It does not where that page may be wasted: before the filter is known to be applied, and
        among empty pages, which may turn out to be endless.
        """
        is_heeded = self._names is None or self.probed.is_set()
        if not self._is_paged or not is_heeded or self._empty_pages:
            return None
        cursor = guess_cursor(body)
        if cursor is None or cursor in self._cursors:
            return None
        await self._ask(cursor)
        return cursor

    async def _ask(self, cursor: str) -> None:
        """Request the next page; return when the request has left: decoding blocks the network."""
        self._call = self._context.calls.begin(self._target_of(cursor))
        self._ahead = asyncio.create_task(self._call.answer())
        await self._context.calls.clock.turn()

    def _checked_cursor(self, page: Page) -> str | None:
        """
        Return the next page's cursor.

        Raises:
            PageRefused: the cursor was followed before, or is missing although pages follow.
            UpstreamError: too many pages in a row were empty.
        """
        if not self._is_paged:
            return None
        cursor = cursor_after(page)
        if cursor in self._cursors:
            raise PageRefused("repeats a cursor it gave before")
        self._empty_pages = 0 if page.point_samples else self._empty_pages + 1
        if cursor is not None and self._empty_pages >= EMPTY_PAGES_MAX:
            path = self._target_of(None).path
            raise UpstreamError(
                f"upstream {path} sent {self._empty_pages} empty pages in a row and says has_more",
                upstream_status=200,
                retryable=True,
            )
        return cursor

    def _check_names(self, page: Page) -> None:
        names = self._names
        if names is None or not page.point_samples:
            return
        if not {sample.name for sample in page.point_samples} <= names:
            raise FilterIgnored
        self.probed.set()

    async def _abandon(self) -> None:
        """Cancel the request for a page that is still on its way; drop its failure, if any."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _cut(samples: list[WireSample], part: Range) -> list[WireSample]:
    """Return the samples in a part of the range, and those with an unreadable time."""
    keeps: dict[str, bool] = {}
    kept: list[WireSample] = []
    for sample in samples:
        time = sample.time
        if (is_kept := keeps.get(time)) is None:
            try:
                is_kept = part.start_ms <= parse_iso(time) < part.end_ms
            except ValueError:
                is_kept = True
            keeps[time] = is_kept
        if is_kept:
            kept.append(sample)
    return kept


async def run_streams(
    streams: Sequence[Stream], *, width: int, probe: Stream | None = None
) -> None:
    """
    Run streams in their order, *width* at a time; when one fails, cancel the others.

    Args:
        streams: A stream that waits for another comes after it.
        width: Streams that run at once, with one request each.
        probe: The stream that must be probed before a second one runs.

    Raises:
        The first failure, after all streams have ended.
    """
    waiting = iter(streams)

    async def work(*, is_first: bool) -> None:
        if probe is not None and not is_first:
            await probe.probed.wait()
        for stream in waiting:
            await stream.run()

    if len(streams) == 1:
        await streams[0].run()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for each in range(min(width, len(streams))):
                group.create_task(work(is_first=each == 0))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
