"""What a caller may do."""

from __future__ import annotations

import pytest

from building_vitals.access.caller import ANYBODY, Caller
from building_vitals.errors import Forbidden

READER = Caller(key_id="k", is_admin=False, sites=frozenset({"hq"}))


def test_a_reader_reads_its_sites_alone() -> None:
    """Another site is refused by name, known or not; None stands for all."""
    READER.require_site("hq")
    with pytest.raises(Forbidden, match="'lab'"):
        READER.require_site("lab")
    Caller(key_id="k", is_admin=False, sites=None).require_site("lab")
    with pytest.raises(Forbidden):
        Caller(key_id="k", is_admin=True, sites=frozenset()).require_site("hq")


def test_only_administrators_administrate() -> None:
    """The role decides, not the sites."""
    with pytest.raises(Forbidden, match="role admin"):
        Caller(key_id="k", is_admin=False, sites=None).require_admin()
    Caller(key_id="k", is_admin=True, sites=frozenset()).require_admin()


def test_in_the_open_mode_anybody_may_do_anything() -> None:
    """Without keys nobody is less than another."""
    ANYBODY.require_admin()
    ANYBODY.require_site("any")
