"""Tests of how bindings are found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from building_vitals.errors import Unavailable
from building_vitals.platform.lookup import bare, find_binding, require_binding

ENV = SimpleNamespace(DB="wrapper", EMPTY=None)


def test_a_binding_is_found_by_its_name() -> None:
    """What the Worker has is given as it is."""
    assert ("wrapper", "wrapper") == (find_binding(ENV, "DB"), require_binding(ENV, "DB"))


@pytest.mark.parametrize("name", ["NONE", "EMPTY"])
def test_a_missing_binding_is_none_or_refused(name: str) -> None:
    """Who can do without hears of nothing, who can't is told which one."""
    assert find_binding(ENV, name) is None
    with pytest.raises(Unavailable, match=f"the binding {name} is missing"):
        require_binding(ENV, name)


def test_a_wrapper_is_taken_off() -> None:
    """The SDK's wrappers keep the binding; what has no wrapper stays as it is."""
    inner = object()
    assert inner is bare(SimpleNamespace(_binding=inner))
    assert inner is bare(inner)
