"""
Follows the pages of one query from the first to the last.

Separate because its order of steps bounds memory and time: the request for the next page leaves
before the present page is decoded, bodies wait as bytes, and one page at a time is decoded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from operator import le, ne

from building_vitals.ahead import begin_ahead, call_off
from building_vitals.errors import UpstreamError
from building_vitals.upstream.ace.calls import AnswerCut, Call
from building_vitals.upstream.ace.context import FetchContext, time_of
from building_vitals.upstream.ace.cursors import place_of, repaired
from building_vitals.upstream.ace.settings import PAGE_SIZES
from building_vitals.upstream.ace.targets import Target
from building_vitals.upstream.ace.wire import (
    NO_TEXT,
    Page,
    PageRefused,
    WireSample,
    cursor_after,
    decode_page,
    guess_cursor,
)

# The upstream sends empty pages now and then, but never so many in a row.
EMPTY_PAGES_MAX = 1_000
# Smaller pages than this are no help: what dies then does so for another reason.
PAGE_SIZE_LEAST = 500

TargetOf = Callable[[int, str | None], Target]


class FilterIgnored(Exception):
    """A page holds points that its filter does not name."""


class PageStream:
    """
    The pages of one query, one after the other, with one request at a time.

    Attributes:
        is_stopped: Whether it ended before the last page, because none was wanted.
    """

    def __init__(
        self,
        context: FetchContext,
        target_of: TargetOf,
        *,
        end_ms: int,
        names: frozenset[str] | None = None,
    ) -> None:
        """
        Args:
            context: Shared with the other streams.
            target_of: Returns the target of a page size and a cursor; None for the first page.
            end_ms: The end of the range.
            names: Points of the filter; a page with others raises FilterIgnored. None: the pages
                hold the whole site.
        """
        self.is_stopped = False
        self._context = context
        self._target_of = target_of
        self._end_ms = end_ms
        self._names = names
        # Of each cursor that was sent, what its page was recognised by.
        self._followed: dict[str | None, tuple[object, ...]] = {}
        self._empty_pages = 0
        self._last_ms: int | None = None
        self._is_ordered = True
        self._cursor: str | None = None
        self._call = self._begin(None)
        # The page on its way, and the page that has arrived: no other reference exists, so that
        # a body is freed as soon as it is decoded.
        self._ahead: asyncio.Task[bytes | None] | None = None
        self._body: bytes | None = None

    async def run(self) -> None:
        """
        Fetch all pages, as long as they are wanted, and give them to the sink.

        Raises:
            FilterIgnored: see *names*.
            UpstreamError: a page could not be fetched; the sink has only some of the samples.
        """
        try:
            self._ahead = begin_ahead(self._call.answer())
            while self._ahead is not None:
                await self._next_page()
        finally:
            await self._abandon()
        if not self.is_stopped:
            self._context.sink.advance(self._names, self._end_ms)

    @property
    def complete_ms(self) -> int | None:
        """Up to when all samples have been given; None where nothing says."""
        return self._last_ms if self.is_stopped else self._end_ms

    async def _next_page(self) -> None:
        """Take the page that is on its way, and leave the request for the next on its way."""
        self._body = await self._arrived()
        may_guess = True
        while self._body is not None:
            call = self._call
            lie = await self._taken(call, may_guess=may_guess)
            if lie is None:
                await self._context.advance(self._names, self._last_ms)
                return
            may_guess = False
            await call.distrust(lie)
            self._call = call
            self._body = await self._answer()
        await self._context.site_exists()

    async def _arrived(self) -> bytes | None:
        """Wait for the page that is on its way; return its body."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        try:
            return await ahead
        except AnswerCut as cut:
            return await self._smaller(cut)

    async def _answer(self) -> bytes | None:
        try:
            return await self._call.answer()
        except AnswerCut as cut:
            return await self._smaller(cut)

    async def _smaller(self, cut: AnswerCut) -> bytes | None:
        """Ask for the same page again, a smaller one where that may help."""
        while True:
            context = self._context
            sizes = [size for size in PAGE_SIZES if PAGE_SIZE_LEAST <= size < context.page_size]
            if sizes:
                context.page_size = context.seen.page_size = sizes[-1]
                self._call = self._begin(self._cursor)
            else:
                await self._call.retry(cut)
            try:
                return await self._call.answer()
            except AnswerCut as again:
                cut = again

    async def _taken(self, call: Call, *, may_guess: bool) -> str | None:
        """
        Fold the page that has arrived, or return why it is invalid.

        Args:
            call: The call that it answers.
            may_guess: Whether to request the next page before this one is decoded; False after an
                invalid answer.
        """
        async with self._context.desk:
            body, self._body = self._body or b"", None
            sent = self._cursor
            guess = await self._guessed(body) if may_guess else None
            try:
                page = decode_page(body)
                del body
                cursor = self._checked_cursor(page, sent)
            except PageRefused as refused:
                await self._abandon()
                self._cursor = sent
                return str(refused)
            self._check_names(page)
            if cursor != guess:
                await self._abandon()
                self.is_stopped = cursor is not None and not self._context.goes_on()
                if cursor is not None and not self.is_stopped:
                    await self._ask(cursor)
            self._note_order(page.point_samples, cursor)
            self._context.add(call, page.point_samples)
            return None

    async def _guessed(self, body: bytes) -> str | None:
        """
        Request the next page before this one is decoded, if the end of the body has the cursor.

        It does not where that page may be wasted: among empty pages, which may turn out to be
        endless, and where the cursor stands at the moment of the one before, as it may be wrong.
        """
        if self._empty_pages or not self._context.goes_on():
            return None
        cursor = guess_cursor(body)
        if cursor is None or cursor in self._followed or cursor == self._cursor:
            return None
        place, before = place_of(cursor), place_of(self._cursor or "")
        if place is not None and before is not None and place.timestamp == before.timestamp:
            return None
        await self._ask(cursor)
        return cursor

    def _begin(self, cursor: str | None) -> Call:
        target = self._target_of(self._context.page_size, cursor)
        # After a first page, 404 can't mean that there is nothing.
        return self._context.calls.begin(target, may_be_absent=cursor is None, is_large=True)

    async def _ask(self, cursor: str) -> None:
        """Request the next page; return when the request has left: decoding blocks the network."""
        self._cursor = cursor
        self._call = self._begin(cursor)
        self._ahead = begin_ahead(self._call.answer())
        await self._context.calls.clock.turn()

    def _checked_cursor(self, page: Page, sent: str | None) -> str | None:
        """
        Return the next page's cursor.

        Raises:
            PageRefused: the page is one that its cursor had led to before, or has no cursor
                although pages follow.
            UpstreamError: too many pages in a row were empty.
        """
        samples = page.point_samples
        cursor = cursor_after(page)
        if cursor is None:
            return None
        cursor = repaired(cursor, [sample.time or "" for sample in samples], sent)
        ends = [(each.name, each.time, each.value) for each in (*samples[:1], *samples[-1:])]
        mark = (len(samples), cursor, *ends)
        if self._followed.get(sent) == mark:
            raise PageRefused("repeats a page it gave before")
        self._empty_pages = 0 if samples else self._empty_pages + 1
        if self._empty_pages >= EMPTY_PAGES_MAX:
            path = self._target_of(self._context.page_size, None).path
            raise UpstreamError(
                f"upstream {path} sent {self._empty_pages} empty pages in a row and says has_more",
                upstream_status=200,
                retryable=True,
            )
        self._followed[sent] = mark
        return cursor

    def _note_order(self, samples: list[WireSample], cursor: str | None) -> None:
        """
        Note up to when all samples have been given: rows go forward in time.

        A cursor with a time says it. One of another shape says nothing: the rows have to show it
        then, and can only where points take turns in them. Otherwise the rows may be those of one
        point after the other.
        """
        place = None if cursor is None else place_of(cursor)
        if place is not None:
            self._last_ms = place.at_ms
            return
        if not samples or not self._is_ordered:
            return
        first_ms, last_ms = time_of(samples[0]), time_of(samples[-1])
        times = [sample.time or "" for sample in samples]
        self._is_ordered = (
            first_ms is not None
            and last_ms is not None
            and (self._last_ms is None or self._last_ms <= first_ms)
            and all(map(le, times, times[1:]))
            and self._takes_turns(samples)
        )
        self._last_ms = last_ms if self._is_ordered else None

    def _takes_turns(self, samples: list[WireSample]) -> bool:
        """Return whether a point comes again after another one, or only one was asked for."""
        if self._names is not None and len(self._names) == 1:
            return True
        names = [sample.name for sample in samples]
        turns = 1 + sum(map(ne, names, names[1:]))
        return bool(turns > len(set(names)))

    def _check_names(self, page: Page) -> None:
        names = self._names
        if names is None or not page.point_samples:
            return
        if not {sample.name for sample in page.point_samples} <= names | {NO_TEXT}:
            raise FilterIgnored

    async def _abandon(self) -> None:
        """Cancel the request for a page that is still on its way; drop its failure, if any."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            await call_off(ahead)
