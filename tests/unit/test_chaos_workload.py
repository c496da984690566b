"""The operations of a run come from its seed alone."""

from __future__ import annotations

from collections import Counter

import pytest

from chaos.faults import BELIEVED, FAILING, HARMLESS
from chaos.workload import FIRST_KILL, WEIGHTS, SiteShape, Step, Workload
from fakes.upstream_warts import WARTS

DAY_MS = 86_400_000
SITE = SiteShape("s", tuple(f"s/{number}" for number in range(6)), 0, 6 * DAY_MS, 900_000)


def steps(count: int, seed: int = 7, without: frozenset[str] = frozenset()) -> list[Step]:
    """Return the operations of a run."""
    jobs, live = SITE._replace(name="jobs"), SITE._replace(name="live")
    workload = Workload(seed, sites=(SITE,), jobs=jobs, live=live, without=without)
    return list(workload.steps(count))


def test_the_same_seed_makes_the_same_operations() -> None:
    """A run can be repeated from its seed; another seed makes another run."""
    assert steps(3000) == steps(3000)
    assert steps(300) != steps(300, seed=8)


def test_fewer_operations_are_the_beginning_of_more() -> None:
    """A shorter run is a prefix, down to the last draw."""
    assert steps(500) == steps(3000)[:500]


def test_every_operation_and_every_fault_occurs() -> None:
    """In a few thousand operations nothing of the list is left out."""
    made = steps(12_000)
    counts = Counter(step.operation for step in made)
    assert set() == WEIGHTS.keys() - {"same"} - counts.keys()
    assert {"kill", "mend", "restore"} <= counts.keys()
    assert {*FAILING, *HARMLESS} == {step.kind for step in made if step.kind}
    assert "kill" == made[FIRST_KILL].operation


def test_short_runs_see_many_faults() -> None:
    """No kind comes again before all of them have; a thousand operations see most kinds."""
    kinds = [step.kind for step in steps(12_000) if step.operation == "fault"]
    every = {*FAILING, *HARMLESS}
    assert [every] * 2 == [set(kinds[n : n + len(every)]) for n in (0, len(every))]
    assert len({step.kind for step in steps(1000) if step.kind}) >= 20


def test_every_fault_ends_before_the_next_of_its_site() -> None:
    """A site has one fault at a time, and the upstream is down but once at a time."""
    faulty: set[str] = set()
    is_down = False
    for step in steps(6000):
        site = step.ask.site if step.ask else ""
        if step.operation == "fault":
            assert site not in faulty
            faulty.add(site)
        elif step.operation == "mend":
            faulty.remove(site)
        elif step.operation in ("outage", "restore"):
            assert is_down == (step.operation == "restore")
            is_down = not is_down
    assert len(faulty) <= 2


def test_a_fault_that_is_left_out_never_occurs() -> None:
    """Kinds can be left out, for the search of one cause."""
    kinds = {step.kind for step in steps(6000, without=frozenset({"hang", "slow"}))}
    assert set() == kinds & {"hang", "slow"}


def test_the_fake_upstream_has_no_other_warts() -> None:
    """Each wart either may fail requests, or may not, or is left out for a reason."""
    assert set(WARTS) == {*FAILING, *HARMLESS, *BELIEVED}


@pytest.mark.parametrize("operation", ["ask", "submit", "leave"])
def test_questions_lie_where_the_samples_are(operation: str) -> None:
    """A question asks for something, at its site's points and about its site's range."""
    for step in steps(2000):
        if step.operation == operation and step.ask is not None and not step.ask.is_live:
            assert step.ask.points
            assert step.ask.start_ms < step.ask.end_ms
            assert -DAY_MS < step.ask.start_ms < SITE.end_ms
