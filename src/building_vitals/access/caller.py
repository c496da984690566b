"""The caller of a request, and its rights."""

from __future__ import annotations

import msgspec

from building_vitals.errors import Forbidden


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """
    The holder of a key, or anybody in the mode `open`.

    Attributes:
        key_id: Identity of the key, for ownership and limits; not the key itself.
        is_admin: Whether the caller may see statistics, failures and the cache, and run
            maintenance.
        sites: Sites that the caller may read; None for all.
    """

    key_id: str
    is_admin: bool
    sites: frozenset[str] | None

    def may_read(self, site: str) -> bool:
        """Return whether the caller may read a site."""
        return self.sites is None or site in self.sites

    def require_site(self, site: str) -> None:
        """
        Return when the caller may read a site.

        Raises:
            Forbidden: it may not, whether the site exists or not.
        """
        if not self.may_read(site):
            raise Forbidden(f"this API key may not read site {site!r}")

    def require_admin(self) -> None:
        """
        Return when the caller is an administrator.

        Raises:
            Forbidden: it is not.
        """
        if not self.is_admin:
            raise Forbidden("an API key with the role admin is required")


# Everybody, in the mode `open`.
ANYBODY = Caller(key_id="open", is_admin=True, sites=None)
# The caller of an endpoint that asks for no key: it may do nothing.
NOBODY = Caller(key_id="", is_admin=False, sites=frozenset())
