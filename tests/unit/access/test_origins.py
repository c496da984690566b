"""Which hosts and origins a Worker in the mode `open` answers."""

from __future__ import annotations

import pytest

from building_vitals.access.origins import check_host, check_origin, host_name, is_loopback
from building_vitals.errors import Forbidden

OWN = "127.0.0.1:8787"
LOCAL = ["localhost", "LOCALHOST:8787", "127.0.0.1", OWN, "[::1]", "[::1]:9000", "127.0.0.2:1"]
FOREIGN = [
    *("evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example"),
    *("10.0.0.1", "192.168.1.5:8787", "[::2]", "", "notlocalhost", "[::ffff:8.8.8.8]"),
]


@pytest.mark.parametrize("authority", LOCAL)
def test_this_machine_is_served(authority: str) -> None:
    """Under each of its names, with any port."""
    assert is_loopback(host_name(authority))
    check_host(authority, frozenset())


@pytest.mark.parametrize("authority", FOREIGN)
def test_other_hosts_are_refused_unless_listed(authority: str) -> None:
    """A name that points at this machine does not make it its own; the operator may list it."""
    with pytest.raises(Forbidden, match="host not served in the mode open"):
        check_host(authority, frozenset({"vitals.example"}))
    check_host(authority, frozenset({"*"}))
    check_host(authority, frozenset({host_name(authority)}))


@pytest.mark.parametrize(
    ("origin", "fetch_site", "is_listed"),
    [
        (None, None, False),
        (f"http://{OWN}", None, False),
        (f"http://{OWN}", "same-origin", False),
        (None, "none", False),
        ("https://listed.example", "cross-site", True),
        ("https://listed.example", None, True),
    ],
    ids=["program", "own page, old", "own page", "typed in", "listed", "listed, old"],
)
def test_changes_from_here(origin: str | None, fetch_site: str | None, is_listed: bool) -> None:
    """Programs, the Worker's own pages and listed origins may change something."""
    check_origin(OWN, origin=origin, fetch_site=fetch_site, is_listed=is_listed)


@pytest.mark.parametrize(
    ("origin", "fetch_site"),
    [
        ("https://evil.example", "cross-site"),
        ("https://evil.example", None),
        ("null", None),
        (None, "cross-site"),
        ("http://127.0.0.1:9999", "same-site"),
        ("http://127.0.0.1:9999", None),
        (f"http://{OWN}.evil.example", None),
        (f"http://{OWN}", "cross-site"),
    ],
    ids=[
        *("form", "form, old", "sandboxed", "no origin", "other port", "other port, old"),
        *("lookalike", "contradiction"),
    ],
)
def test_changes_from_elsewhere(origin: str | None, fetch_site: str | None) -> None:
    """A page of another origin may not, whatever the browser tells of it."""
    with pytest.raises(Forbidden, match="request of another origin"):
        check_origin(OWN, origin=origin, fetch_site=fetch_site, is_listed=False)
