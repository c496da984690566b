"""What one invocation leaves for the next."""

from __future__ import annotations

from building_vitals.isolate import Isolate


def test_isolates_share_nothing() -> None:
    """No part of one isolate is a part of another, nor do requests and jobs share a grant."""
    one, other = Isolate(), Isolate()
    parts = [part for part in vars(one).values() if part is not None]
    assert not {id(part) for part in parts} & {id(part) for part in vars(other).values()}
    assert len(parts) == len({id(part) for part in parts})


def test_recent_answers_go_with_the_look_ups() -> None:
    """What removes a segment from the index ends the answers made from it, too."""
    isolate = Isolate()
    before = isolate.recent.generation
    isolate.look_ups.forget()
    assert before != isolate.recent.generation
