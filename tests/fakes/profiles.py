"""Profiles of the upstream's sites without a database."""

from __future__ import annotations

from dataclasses import dataclass

from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles_table import UpstreamProfiles


@dataclass
class ProfileRow:
    """A row of `upstream_profiles`."""

    profile: SiteProfile
    claimed_ms: int
    updated_ms: int


Rows = dict[tuple[str, str], ProfileRow]


class RememberedProfiles(UpstreamProfiles):
    """
    The table, in memory.

    Attributes:
        rows: By upstream and site; several upstreams may share them.
        failure: Raised in place of an answer.
        claims: How often somebody asked to compare.
    """

    def __init__(self, upstream: str, rows: Rows | None = None) -> None:
        self.rows: Rows = {} if rows is None else rows
        self.failure: Exception | None = None
        self.claims = 0
        self._upstream = upstream

    def put(self, site: str, profile: SiteProfile) -> None:
        """Let a site have a profile from the beginning."""
        self.rows[self._upstream, site] = ProfileRow(profile, 0, 0)

    async def find(self, site: str) -> SiteProfile | None:
        """Return a site's profile."""
        self._answer()
        row = self.rows.get((self._upstream, site))
        return None if row is None else row.profile

    async def list(self, limit: int) -> list[tuple[str, SiteProfile]]:
        """Return sites with their profiles, those that changed last first."""
        self._answer()
        mine = [(site, row) for (url, site), row in self.rows.items() if url == self._upstream]
        mine.sort(key=lambda each: (-each[1].updated_ms, each[0]))
        return [(site, row.profile) for site, row in mine[:limit]]

    async def keep(self, site: str, profile: SiteProfile, now_ms: int) -> None:
        """Store a site's profile."""
        self._answer()
        row = self.rows.get((self._upstream, site))
        claimed_ms = 0 if row is None else row.claimed_ms
        self.rows[self._upstream, site] = ProfileRow(profile, claimed_ms, now_ms)

    async def claim(self, site: str, now_ms: int, within_ms: int) -> bool:
        """Return whether the caller is the first within *within_ms*."""
        self._answer()
        self.claims += 1
        row = self.rows.get((self._upstream, site))
        if row is None:
            self.rows[self._upstream, site] = ProfileRow(SiteProfile(), now_ms, now_ms)
            return True
        if row.claimed_ms > now_ms - within_ms:
            return False
        row.claimed_ms = now_ms
        return True

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure
