"""What a client of chaos takes with it from answer to answer."""

from __future__ import annotations

from typing import Any

from chaos.scene import Scene, Visitor


def scene() -> Scene:
    """Return a scene of which only the clock of what was stored is looked at."""
    nothing: Any = None
    return Scene(nothing, nothing, nothing, nothing, nothing, nothing, nothing)


def test_what_was_seen_counts_until_it_may_not_have_been_stored() -> None:
    """A database that was down ends the memory; who asked before it came back is held to none."""
    visitor, shared = Visitor(), scene()
    memory = visitor.recall(shared, 100)
    assert memory is visitor.recall(shared, 200)
    shared.unstored_ms = 250
    after = visitor.recall(shared, 249)
    assert memory is not after
    assert after is not visitor.recall(shared, 249)
    later = visitor.recall(shared, 251)
    assert later is visitor.recall(shared, 252)
    assert memory is not later
