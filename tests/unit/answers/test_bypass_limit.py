"""How many requests go past the cache at once."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from building_vitals.answers.bypass_limit import BYPASSES_MAX, BypassLimit
from building_vitals.errors import Unavailable


def test_a_fifth_is_told_when_to_come_again() -> None:
    """503 with a time; once one of the four has ended, another may go."""
    bypasses = BypassLimit()
    with ExitStack() as stack:
        for _ in range(BYPASSES_MAX - 1):
            stack.enter_context(bypasses.one(0, 100))
        with bypasses.one(0, 100):
            with pytest.raises(Unavailable) as caught, bypasses.one(0, 100):
                pass
            assert (503, 5) == (caught.value.status, caught.value.retry_after_s)
        with bypasses.one(0, 100):
            pass


def test_those_that_died_count_until_their_deadline() -> None:
    """A request whose end nobody sees does not take a place for ever."""
    bypasses = BypassLimit()
    dead = [bypasses.one(0, 100) for _ in range(BYPASSES_MAX)]
    for each in dead:
        each.__enter__()
    with pytest.raises(Unavailable), bypasses.one(99, 500):
        pass
    with bypasses.one(100, 500):
        pass


def test_one_that_fails_has_ended() -> None:
    """However it ends, its place is free."""
    bypasses = BypassLimit()
    for _ in range(BYPASSES_MAX + 1):
        with pytest.raises(KeyError), bypasses.one(0, 100):
            raise KeyError
