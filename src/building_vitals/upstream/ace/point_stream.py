"""
Calls by point: names in a body, answers without pages.

Separate because an answer without pages can't be followed up: where one is too large or dies on its
way, the client asks for parts of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from building_vitals.errors import UpstreamError
from building_vitals.instants import HOUR_MS, MINUTE_MS
from building_vitals.ranges import Range, split_evenly
from building_vitals.upstream.ace.calls import AnswerCut, AnswerTooLarge, Call
from building_vitals.upstream.ace.context import FetchContext
from building_vitals.upstream.ace.targets import points_target
from building_vitals.upstream.ace.wire import PageRefused, decode_samples

# Parts of less than this are no help: what dies then does so for another reason.
PART_LEAST_MS = HOUR_MS
# How an upstream refuses a call for the number of its names.
_TOO_MANY = (400, 413, 414, 422)
NAMES_LEAST = 10


class PointStream:
    """
    The samples of one group of names over one part of the range.

    Attributes:
        done: Set when the last of them has been folded.
    """

    def __init__(
        self,
        context: FetchContext,
        names: Sequence[str],
        part: Range,
        *,
        before: PointStream | None = None,
    ) -> None:
        """
        Args:
            context: Shared with the other streams.
            names: Of the group.
            part: Of the range.
            before: The stream whose answers must be folded before those of this one: samples reach
                the sink in the order of time.
        """
        self.done = asyncio.Event()
        self._context = context
        self._names = names
        self._part = part
        self._before = before

    async def run(self) -> None:
        """
        Fetch the samples and give them to the sink.

        Raises:
            UpstreamError: they could not be fetched; the sink has only some of them.
        """
        await self._fetch(self._names, self._part)
        self.done.set()

    async def _fetch(self, names: Sequence[str], part: Range) -> None:
        calls = self._context.calls
        target = points_target(names, part)
        call = calls.begin(target, may_be_absent=True, is_large=True)
        while True:
            try:
                body = await call.answer()
            except AnswerCut as cut:
                if part.duration_ms > PART_LEAST_MS:
                    for half in split_evenly(part, 2):
                        await self._fetch(names, half)
                    return
                if isinstance(cut, AnswerTooLarge) and await self._divided(names, part):
                    return
                await call.retry(cut)
                continue
            except UpstreamError as refusal:
                if refusal.upstream_status not in _TOO_MANY or len(names) < 2 * NAMES_LEAST:
                    raise
                middle = len(names) // 2
                seen = self._context.seen
                seen.names_max = min(middle, seen.names_max or middle)
                await self._fetch(names[:middle], part)
                await self._fetch(names[middle:], part)
                return
            if self._before is not None:
                await self._before.done.wait()
            async with self._context.desk:
                lie = self._folded(call, body, part)
            # Not held while what came is stored.
            del body
            if lie is None:
                await self._context.advance(names, part.end_ms)
                return
            await call.distrust(lie)

    async def _divided(self, names: Sequence[str], part: Range) -> bool:
        """Fetch in parts what is too much of a short time; return False for what has none."""
        if len(names) > 1:
            middle = len(names) // 2
            await self._fetch(names[:middle], part)
            await self._fetch(names[middle:], part)
        elif part.duration_ms > MINUTE_MS:
            for half in split_evenly(part, 2):
                await self._fetch(names, half)
        else:
            return False
        return True

    def _folded(self, call: Call, body: bytes | None, part: Range) -> str | None:
        """Fold an answer, None for one without samples; or return why it is invalid."""
        try:
            samples = [] if body is None else decode_samples(body)
        except PageRefused as refused:
            return str(refused)
        self._context.add(call, samples, part)
        return None
