"""What a client of chaos takes into the next start of the Worker."""

from __future__ import annotations

from dataclasses import replace

from chaos.oracle import Policy
from chaos.scene import Visitor

POLICY = Policy(provisional_ms=2_000, settled_ms=5_000, settle_after_ms=1, grace_ms=1, list_ms=1)


def test_what_was_seen_counts_until_data_are_believed_for_longer() -> None:
    """The same or shorter lives keep the memory; longer ones, of either kind, end it."""
    visitor = Visitor()
    memory = visitor.memory
    visitor.meet(POLICY)
    visitor.meet(POLICY)
    visitor.meet(replace(POLICY, settled_ms=4_000))
    assert memory is visitor.memory
    visitor.meet(POLICY)
    assert memory is not visitor.memory
    memory = visitor.memory
    visitor.meet(replace(POLICY, provisional_ms=3_000))
    assert memory is not visitor.memory
