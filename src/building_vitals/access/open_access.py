"""The access mode `open`: everybody may do everything."""

from __future__ import annotations

from collections.abc import Mapping

from building_vitals.access.caller import ANYBODY, Caller


class OpenAccess:
    """Lets everybody in."""

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """Return the caller that everybody is."""
        return ANYBODY
