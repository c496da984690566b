"""How many requests may wait for their jobs."""

from __future__ import annotations

from building_vitals.access.waits import LIFE_SIGN_MS, WAITS_MAX, WAITS_PER_KEY_MAX, OpenWaits


def test_a_key_has_so_many_and_no_more() -> None:
    """The next one may not wait until another has ended; other keys are not touched."""
    waits = OpenWaits()
    assert all(waits.enter("key", f"w{n}", 0) for n in range(WAITS_PER_KEY_MAX))
    assert not waits.enter("key", "more", 0)
    assert waits.enter("other", "w0", 0)
    for _ in range(2):
        waits.leave("key", "w3")
    assert waits.enter("key", "more", 0)
    assert not waits.enter("key", "yet more", 0)
    assert (WAITS_PER_KEY_MAX, 1, 0) == tuple(map(waits.count, ("key", "other", "nobody")))


def test_an_isolate_has_so_many_and_no_more() -> None:
    """Of whatever keys."""
    waits = OpenWaits()
    assert all(waits.enter(f"key{n}", "w", 0) for n in range(WAITS_MAX))
    assert not waits.enter("more", "w", 0)


def test_dead_waits_make_room() -> None:
    """Those that show no sign of life do not count for ever; a late sign brings none back."""
    waits = OpenWaits()
    assert all(waits.enter("key", f"w{n}", 0) for n in range(WAITS_PER_KEY_MAX))
    waits.touch("key", "w0", LIFE_SIGN_MS - 1)
    assert waits.enter("key", "more", LIFE_SIGN_MS)
    waits.touch("key", "w1", LIFE_SIGN_MS)
    assert 2 == waits.count("key")
