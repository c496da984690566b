"""What the isolate remembers of follows, so that a chart costs hardly a call of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from building_vitals.cache.followed import Followed
from building_vitals.errors import AppError
from building_vitals.instants import is_recent
from building_vitals.ports import Invocation

if TYPE_CHECKING:
    from building_vitals.follow.follows_table import FollowRow

# How long it is believed how far the rounds of a site have come: one that has ended elsewhere shows
# so much later.
REMEMBERED_MS = 5_000
# How long it is believed that a site is not followed, as long as nothing else says so: most sites
# are not, and their charts must not pay for others.
NONE_REMEMBERED_MS = 600_000
NEVER_MS = 0


class FollowMemory:
    """
    Plain data, for all invocations of an isolate.

    Attributes:
        followed: By site.
        read_ms: When it was read.
    """

    def __init__(self) -> None:
        self.followed: dict[str, Followed] = {}
        self.read_ms = NEVER_MS

    def forget(self) -> None:
        """Have it read again: something has changed."""
        self.read_ms = NEVER_MS


class FollowedSites:
    """Says which sites are followed, and how far their rounds have come."""

    def __init__(
        self,
        read_all: Callable[[], Awaitable[Sequence[FollowRow]]],
        memory: FollowMemory,
        invocation: Invocation,
    ) -> None:
        self._read_all = read_all
        self._memory = memory
        self._clock = invocation.clock
        self._on_fault = invocation.on_fault

    async def refresh(self, site: str, has_blocks: bool = False) -> None:
        """
        Read the follows again where they were read too long ago; never fails.

        Args:
            site: Whose follow is asked for.
            has_blocks: Whether all points of the site have been stored at once: it was followed, or
                is.
        """
        now_ms, memory = self._clock.now_ms(), self._memory
        may_be = has_blocks or site in memory.followed
        if is_recent(memory.read_ms, now_ms, REMEMBERED_MS if may_be else NONE_REMEMBERED_MS):
            return
        try:
            rows = await self._read_all()
        except AppError as error:
            self._on_fault("follows", error)
            return
        memory.followed = {
            row.site: Followed(
                row.follow.trusted_ms,
                row.follow.every_ms,
                tuple(row.follow.known),
                row.follow.known_until_ms,
            )
            for row in rows
        }
        memory.read_ms = now_ms

    def known_until(self, site: str) -> int | msgspec.UnsetType:
        """Return the end of the last round of a site, by the same."""
        followed = self.of(site)
        until_ms = None if followed is None else followed.until_ms
        return msgspec.UNSET if until_ms is None else until_ms

    def of(self, site: str) -> Followed | None:
        """Return a site's follow, by what was read last; None where it has none."""
        return self._memory.followed.get(site)
