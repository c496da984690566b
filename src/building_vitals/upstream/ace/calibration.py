"""
Finds out behind an answer which way of asking gives what: calls by point, or the site's pages.

Separate because nobody waits for it: it fails in silence, and the next fetch goes by what it found.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from msgspec.structs import replace

from building_vitals.errors import AppError
from building_vitals.instants import HOUR_MS
from building_vitals.ports import Clock
from building_vitals.upstream.ace.calls import Calls
from building_vitals.upstream.ace.comparison import Finding, Tail, compare
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import (
    Target,
    filters_of,
    fits_filter,
    pages_target,
    points_target,
)
from building_vitals.upstream.ace.wire import decode_page, decode_samples
from building_vitals.upstream.profile import CHECK_EVERY_MS, SiteProfile
from building_vitals.upstream.profiles import SiteProfiles

# The two ways are compared when the charts of a page have probably been drawn.
CHECK_DELAY_MS = 5_000
# What could not be compared is tried again after so long.
CHECK_AGAIN_MS = HOUR_MS

CHECK_FILTER_LENGTH_MAX = 2_500

RunLater = Callable[[Coroutine[Any, Any, None]], None]
CallsUntil = Callable[[int | None], Calls]


class Calibration:
    """Compares the two ways of asking, once a week for each site."""

    def __init__(
        self,
        *,
        calls_until: CallsUntil,
        clock: Clock,
        settings: UpstreamSettings,
        profiles: SiteProfiles,
        run_later: RunLater | None,
    ) -> None:
        """
        Args:
            calls_until: Returns calls with a deadline, epoch milliseconds.
            clock: Time and waiting.
            settings: The options.
            profiles: Where the findings are kept.
            run_later: Has work done behind an answer; None: nothing is ever compared.
        """
        self._calls_until = calls_until
        self._clock = clock
        self._settings = settings
        self._profiles = profiles
        self._run_later = run_later

    def is_due(self, profile: SiteProfile) -> bool:
        """Return whether the two ways are to be compared behind a fetch of a site."""
        is_open = self._run_later is not None and self._settings.calls == "auto"
        return is_open and profile.is_due(self._clock.now_ms())

    def compare_later(self, site: str, tail: Tail) -> None:
        """Have what a call by point gave compared with a page of the site, behind the answer."""
        if self._run_later is not None:
            self._run_later(self._compare(site, tail))

    async def _compare(self, site: str, tail: Tail) -> None:
        """Compare, unless somebody else does, and note what that shows."""
        await self._clock.sleep(CHECK_DELAY_MS)
        if not self._profiles.known(site).is_due(self._clock.now_ms()):
            return
        if not await self._profiles.claim_check(site):
            return
        now_ms = self._clock.now_ms()
        finding = await self._finding(site, tail, now_ms)
        profile = self._profiles.known(site)
        if finding is None:
            again_ms = now_ms - CHECK_EVERY_MS + CHECK_AGAIN_MS
            self._profiles.change(site, replace(profile, checked_ms=again_ms))
        else:
            self._profiles.change(site, _calibrated(profile, finding, now_ms))

    async def _finding(self, site: str, tail: Tail, now_ms: int) -> Finding | None:
        """Return what one page of the site shows beside the tail; None where it shows nothing."""
        calls = self._calls_until(now_ms + self._settings.page_timeout_ms)
        page_target = self._target(site, tail)
        try:
            page = await calls.read(page_target, decode_page, may_be_absent=True)
            finding = None if page is None else compare(tail, page)
            if finding is None or finding.is_same is not False:
                return finding
            # Perhaps the upstream has corrected its data between the call and the page: once more.
            target = points_target(tail.names, tail.time_range)
            samples = await calls.read(target, decode_samples, may_be_absent=True)
            page = await calls.read(page_target, decode_page, may_be_absent=True)
            return None if page is None else compare(replace(tail, samples=samples or []), page)
        except (AppError, ValueError):
            return None

    def _target(self, site: str, tail: Tail) -> Target:
        names = filters_of(filter(fits_filter, tail.names), CHECK_FILTER_LENGTH_MAX)
        configured = self._settings.page_size
        return pages_target(
            site,
            names[0][0] if names else None,
            tail.time_range,
            page_size=min(configured, self._profiles.known(site).page_size or configured),
            cursor=None,
        )


def _calibrated(profile: SiteProfile, finding: Finding, now_ms: int) -> SiteProfile:
    """
    Return the profile with what a comparison has shown.

    The upstream may take larger questions than a week ago: sizes that a fetch had to go down to are
    forgotten, so that the next one finds them out again.
    """
    return replace(
        profile,
        is_filter_heeded=finding.is_filter_heeded,
        is_same=profile.is_same if finding.is_same is None else finding.is_same,
        samples_per_day=finding.samples_per_day or profile.samples_per_day,
        page_size=0,
        names_max=0,
        checked_ms=now_ms,
    )
