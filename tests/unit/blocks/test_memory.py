"""What an isolate remembers of blocks."""

from __future__ import annotations

from building_vitals.blocks.memory import FOOT, DirectoryMemory


def test_what_was_kept_is_found() -> None:
    """By its block and its number, until the block is forgotten."""
    memory = DirectoryMemory(100)
    memory.keep("a", FOOT, b"foot")
    memory.keep("a", 0, b"leaf")
    memory.keep("b", 0, b"other")
    assert (b"foot", b"leaf", b"other", None) == (
        *(memory.find("a", FOOT), memory.find("a", 0), memory.find("b", 0), memory.find("b", 1)),
    )
    memory.forget("a")
    assert (None, b"other", 5) == (memory.find("a", 0), memory.find("b", 0), memory.size)


def test_what_was_not_asked_for_goes_first() -> None:
    """No more bytes are held than allowed."""
    memory = DirectoryMemory(10)
    memory.keep("a", 0, b"1234")
    memory.keep("a", 1, b"1234")
    assert b"1234" == memory.find("a", 0)
    memory.keep("a", 2, b"1234")
    assert (b"1234", None, b"1234", 8) == (
        *(memory.find("a", 0), memory.find("a", 1), memory.find("a", 2), memory.size),
    )
    memory.keep("a", 3, b"more than all of it")
    assert (None, 0) == (memory.find("a", 3), memory.size)


def test_what_is_kept_again_counts_once() -> None:
    """The size is that of what is held."""
    memory = DirectoryMemory(10)
    memory.keep("a", 0, b"1234")
    memory.keep("a", 0, b"12")
    assert (b"12", 2) == (memory.find("a", 0), memory.size)
