"""
Who may call a Worker in the mode `open`: programs, and pages of the Worker itself.

Such a Worker lets everybody in who reaches it, and a browser on the same machine carries any page's
requests to it. A page that points its own name at the machine is told by the `Host`, a page that
sends a form by what browsers say of a request's origin.
"""

from __future__ import annotations

import ipaddress

from building_vitals.errors import Forbidden

ANY_HOST = "*"
# They change nothing, so a page that can't read the answer does no harm with them.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
_SHOWN_CHARACTERS = 100


def host_name(authority: str) -> str:
    """Return the host of `host:port` or `[address]:port`, in lower case and without brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()


def is_loopback(name: str) -> bool:
    """Return whether a host is this machine, by a name or an address that nobody else can have."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_host(authority: str, allowed: frozenset[str]) -> None:
    """
    Return when a Worker in the mode `open` answers under the host of a request.

    Args:
        authority: The request's `Host`.
        allowed: Hosts besides this machine, in lower case; `*` for any.

    Raises:
        Forbidden: it does not.
    """
    name = host_name(authority)
    if is_loopback(name) or name in allowed or ANY_HOST in allowed:
        return
    raise Forbidden(
        f"host not served in the mode open: {name[:_SHOWN_CHARACTERS]!r}; localhost, 127.0.0.1, "
        "[::1] and those in OPEN_HOSTS are"
    )


def check_origin(
    authority: str, *, origin: str | None, fetch_site: str | None, is_listed: bool
) -> None:
    """
    Return when a request in the mode `open` may change something.

    Args:
        authority: The request's `Host`.
        origin: Its `Origin`; programs other than browsers send none.
        fetch_site: Its `Sec-Fetch-Site`, which no page can choose.
        is_listed: Whether CORS_ORIGINS allows the origin.

    Raises:
        Forbidden: a page of another origin sent it.
    """
    if is_listed and origin is not None:
        return
    if fetch_site is not None:
        is_own = fetch_site.strip().lower() in _OWN_SITES
    else:
        is_own = origin is None or origin.lower().partition("://")[2] == authority.lower()
    if not is_own:
        raise Forbidden(
            "request of another origin: in the mode open only the Worker's own pages, pages of "
            "CORS_ORIGINS and programs may change something"
        )
