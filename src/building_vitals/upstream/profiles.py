"""
Keeps what is learned of the upstream's sites: in the isolate for quick reading, in D1 for all.

A profile only helps to plan. Where it can't be read or kept, the usual figures stand in for it, and
nothing fails.
"""

from __future__ import annotations

import msgspec

from building_vitals.errors import AppError
from building_vitals.instants import is_recent
from building_vitals.ports import Invocation
from building_vitals.upstream.profile import Observation, SiteProfile, learned
from building_vitals.upstream.profiles_table import UpstreamProfiles

# How long a profile is believed before it is read again: another isolate may have learned more.
READ_AGAIN_MS = 60_000
SITES_REMEMBERED_MAX = 256
# Others leave a site alone for so long when somebody has begun to compare.
CLAIM_MS = 60_000
NEVER_MS = 0


class _ProfileState(msgspec.Struct):
    """A profile in memory: *profile* as it is now, *stored* as D1 has it."""

    profile: SiteProfile
    stored: SiteProfile
    read_ms: int


class ProfileMemory:
    """Profiles that an isolate remembers between invocations."""

    def __init__(self) -> None:
        self.by_site: dict[str, _ProfileState] = {}

    def put(self, site: str, kept: _ProfileState) -> None:
        """Remember a profile; a full memory starts again."""
        if len(self.by_site) >= SITES_REMEMBERED_MAX:
            self.by_site.clear()
        self.by_site[site] = kept


class SiteProfiles:
    """Reads profiles, and learns."""

    def __init__(
        self, *, table: UpstreamProfiles, memory: ProfileMemory, invocation: Invocation
    ) -> None:
        self._table = table
        self._memory = memory
        self._clock = invocation.clock
        self._run_later = invocation.run_later
        self._on_fault = invocation.on_fault

    async def read(self, site: str) -> SiteProfile:
        """Return what is known of a site; never fails."""
        now_ms = self._clock.now_ms()
        kept = self._memory.by_site.get(site)
        if kept is not None and is_recent(kept.read_ms, now_ms, READ_AGAIN_MS):
            return kept.profile
        try:
            found = await self._table.find(site) or SiteProfile()
        except (AppError, ValueError) as error:
            self._on_fault("upstream profile", error)
            return SiteProfile() if kept is None else kept.profile
        if kept is not None and found == kept.stored:
            # Nobody else has learned more; what was not worth a write is not forgotten.
            kept.read_ms = now_ms
            return kept.profile
        self._memory.put(site, _ProfileState(found, found, now_ms))
        return found

    def learn(self, site: str, seen: Observation) -> None:
        """Take an observation in; D1 hears of it when it changes something."""
        self.change(site, learned(self.known(site), seen))

    def change(self, site: str, profile: SiteProfile) -> None:
        """Let a site have another profile."""
        kept = self._memory.by_site.get(site)
        if kept is None:
            # D1 may know more than this isolate, which could not read it: it is not overwritten.
            self._memory.put(site, _ProfileState(profile, profile, NEVER_MS))
            return
        kept.profile = profile
        if kept.read_ms != NEVER_MS and profile.differs(kept.stored):
            kept.stored = profile
            self._run_later(self._keep(site, profile))

    def known(self, site: str) -> SiteProfile:
        """Return what this isolate knows of a site, without asking D1."""
        kept = self._memory.by_site.get(site)
        return SiteProfile() if kept is None else kept.profile

    async def claim_check(self, site: str) -> bool:
        """Return whether this caller is to compare the two ways of asking for a site."""
        try:
            return await self._table.claim(site, self._clock.now_ms(), CLAIM_MS)
        except AppError as error:
            self._on_fault("upstream profile", error)
            return False

    async def _keep(self, site: str, profile: SiteProfile) -> None:
        try:
            await self._table.keep(site, profile, self._clock.now_ms())
        except AppError as error:
            self._on_fault("upstream profile", error)
