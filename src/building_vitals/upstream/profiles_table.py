"""The profiles of the upstream's sites in D1, which all isolates share."""

from __future__ import annotations

import msgspec

from building_vitals.ports import Database, Statement
from building_vitals.upstream.profile import SiteProfile

_FIND = "SELECT profile FROM upstream_profiles WHERE upstream = ?1 AND site = ?2"
_LIST = """
SELECT site, profile FROM upstream_profiles WHERE upstream = ?1
ORDER BY updated_ms DESC, site LIMIT ?2
"""
_KEEP = """
INSERT INTO upstream_profiles (upstream, site, profile, claimed_ms, updated_ms)
VALUES (?1, ?2, ?3, 0, ?4)
ON CONFLICT (upstream, site) DO UPDATE SET profile = ?3, updated_ms = ?4
"""
# One row changes for one of those who ask within ?4 ms, none for the others.
_CLAIM = """
INSERT INTO upstream_profiles (upstream, site, profile, claimed_ms, updated_ms)
VALUES (?1, ?2, '{}', ?3, ?3)
ON CONFLICT (upstream, site) DO UPDATE SET claimed_ms = ?3 WHERE claimed_ms <= ?3 - ?4
"""

_PROFILES = msgspec.json.Decoder(SiteProfile)


class UpstreamProfiles:
    """Finds and changes the profiles of one upstream's sites."""

    def __init__(self, database: Database, upstream: str) -> None:
        """
        Args:
            database: D1.
            upstream: Base URL; another upstream has profiles of its own.
        """
        self._database = database
        self._upstream = upstream

    async def find(self, site: str) -> SiteProfile | None:
        """Return a site's profile; None when nothing is known of the site."""
        rows = await self._database.rows(_FIND, self._upstream, site)
        return _PROFILES.decode(rows[0]["profile"]) if rows else None

    async def list(self, limit: int) -> list[tuple[str, SiteProfile]]:
        """Return sites with their profiles, those that changed last first."""
        rows = await self._database.rows(_LIST, self._upstream, limit)
        return [(row["site"], _PROFILES.decode(row["profile"])) for row in rows]

    async def keep(self, site: str, profile: SiteProfile, now_ms: int) -> None:
        """Store a site's profile in place of the one before."""
        text = msgspec.json.encode(profile).decode()
        await self._database.batch([Statement(_KEEP, (self._upstream, site, text, now_ms))])

    async def claim(self, site: str, now_ms: int, within_ms: int) -> bool:
        """Return whether the caller is the first within *within_ms* who is to compare."""
        values = (self._upstream, site, now_ms, within_ms)
        return (await self._database.batch([Statement(_CLAIM, values)]))[0].changes > 0
