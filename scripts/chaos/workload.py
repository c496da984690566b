"""
The operations of a run, made from a seed alone: nothing that is answered changes what comes next.

So a run can be repeated, and a shorter one is the beginning of a longer one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chaos.faults import FAILING, HARMLESS
from chaos.reading import FORMATS

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
# How many operations lie between two deaths of the runtime: a start takes some seconds.
BETWEEN_KILLS = 350
FIRST_KILL = 300


class SiteShape(NamedTuple):
    """What is asked for at a site: its points, and the range its samples lie in."""

    name: str
    points: tuple[str, ...]
    start_ms: int
    end_ms: int
    interval_ms: int


class Ask(NamedTuple):
    """
    A question for samples.

    Attributes:
        start_ms, end_ms: Before the present moment, of a site that is alive; else epoch ms.
        options: Further parameters.
    """

    site: str
    points: tuple[str, ...]
    start_ms: int
    end_ms: int
    route: str | None
    format: str
    is_gzip: bool
    is_post: bool
    is_live: bool
    max_points: int | None
    timeout_ms: int | None
    is_fresh: bool = False

    @property
    def options(self) -> dict[str, object]:
        """The parameters beside site, points and range."""
        every = {
            "route": self.route,
            "format": self.format,
            "max_points": self.max_points,
            "timeout": self.timeout_ms,
            "fresh": "true" if self.is_fresh else None,
        }
        return {name: value for name, value in every.items() if value is not None}


class Step(NamedTuple):
    """
    One operation.

    Attributes:
        number: From 0.
        draws: Three numbers from 0 to 1, for what only the run can choose, as one of its jobs.
        kind: A fault's, for `fault`.
    """

    number: int
    operation: str
    ask: Ask | None
    draws: tuple[float, float, float]
    kind: str = ""


WEIGHTS = {
    "ask": 440, "same": 90, "repeat": 110, "head": 20, "leave": 50,
    "submit": 30, "poll": 45, "data": 40, "cancel": 8, "events": 6, "jobs": 10, "retry": 6,
    "abandon": 3, "search": 20, "sites": 8, "stats": 8, "health": 15, "objects": 8, "failures": 6,
    "purge": 30, "maintenance": 16, "bad": 40, "correct": 30, "late": 20, "grow": 30, "appear": 3,
    "vanish": 2, "fault": 36, "outage": 2, "lose": 8, "spoil": 8, "database": 3,
    "follow": 16, "unfollow": 9, "followed": 10, "hold": 3,
}  # fmt: skip
# Which operations need a question.
ASKING = {"ask", "same", "head", "leave", "submit", "purge", "correct", "late"}
# Without a route, nearly all of these are small enough to go past the cache, which costs most and
# shows least.
ROUTES = (None, *("cached",) * 6, "direct")
FAULT_STEPS = (8, 40)
OUTAGE_STEPS = (5, 15)


class Workload:
    """
    Makes the operations.

    Args:
        seed: The same makes the same.
        sites: What charts ask for.
        jobs: The site that large requests are of.
        live: The site whose samples are younger than the run.
        without: Kinds of faults that are left out.
    """

    def __init__(
        self,
        seed: int,
        *,
        sites: Sequence[SiteShape],
        jobs: SiteShape,
        live: SiteShape,
        without: frozenset[str] = frozenset(),
    ) -> None:
        self._chance = random.Random(seed)
        self._sites, self._jobs, self._live = tuple(sites), jobs, live
        self._kinds = [*(kind for kind in (*FAILING, *HARMLESS) if kind not in without)]
        self._deck: list[str] = []
        self._ends: list[tuple[int, str, str]] = []
        self._latest: Ask | None = None
        self._faulty: set[str] = set()

    def steps(self, count: int) -> Iterator[Step]:
        """Yield the first *count* operations."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        for number in range(count):
            ending = next((each for each in self._ends if each[0] <= number), None)
            if ending is not None:
                self._ends.remove(ending)
                self._faulty.discard(ending[2])
                yield self._step(number, ending[1], self._ask_of(ending[2]))
            elif number % BETWEEN_KILLS == FIRST_KILL:
                yield self._step(number, "kill", None)
            else:
                yield self._drawn(number, self._chance.choices(names, weights)[0])

    def _drawn(self, number: int, operation: str) -> Step:
        if operation == "fault":
            return self._fault(number)
        if operation == "outage":
            if self._is_out():
                return self._step(number, "ask", self._ask())
            self._ends.append((number + self._chance.randint(*OUTAGE_STEPS), "restore", ""))
            return self._step(number, "outage", None)
        if operation in ("ask", "same", "head", "leave"):
            return self._question(number, operation)
        if operation == "submit":
            return self._step(number, operation, self._job())
        ask = self._ask() if operation in ASKING else None
        return self._step(number, operation, ask)

    def _question(self, number: int, operation: str) -> Step:
        if operation == "same" and self._latest is not None:
            return self._step(number, "ask", self._latest)
        ask = self._ask()
        self._latest = ask
        return self._step(number, "ask" if operation == "same" else operation, ask)

    def _is_out(self) -> bool:
        return any(operation == "restore" for _, operation, _ in self._ends)

    def _fault(self, number: int) -> Step:
        """Begin a fault at a site that has none; another operation ends it."""
        free = [each for each in (*self._sites, self._jobs) if each.name not in self._faulty]
        if not free:
            return self._step(number, "ask", self._ask())
        # None comes again before all of them have come, so that short runs see many.
        if not self._deck:
            self._deck = self._chance.sample(self._kinds, len(self._kinds))
        kind = self._deck.pop()
        site = self._chance.choice(free).name
        self._faulty.add(site)
        self._ends.append((number + self._chance.randint(*FAULT_STEPS), "mend", site))
        return self._step(number, "fault", self._ask_of(site), kind)

    def _step(self, number: int, operation: str, ask: Ask | None, kind: str = "") -> Step:
        draws = (self._chance.random(), self._chance.random(), self._chance.random())
        return Step(number, operation, ask, draws, kind)

    def _ask_of(self, site: str) -> Ask:
        """Return a question that only names a site."""
        return Ask(site, (), 0, 0, None, "json", True, False, False, None, None)

    def _ask(self) -> Ask:
        chance = self._chance
        if chance.random() < 0.12:
            return self._live_ask()
        site = chance.choice(self._sites)
        count = chance.choice((1, 1, 1, 2, 3, 5, len(site.points)))
        points = tuple(chance.sample(site.points, min(count, len(site.points))))
        if chance.random() < 0.03:
            points = (*points, f"{site.name}/never was")
        hours = (site.end_ms - site.start_ms) // HOUR_MS
        start_ms = site.start_ms + chance.randrange(-1, hours) * HOUR_MS
        start_ms += chance.choice((0, 0, 0, 1, -1, 450_000))
        length_ms = chance.choice((1, HOUR_MS, 6 * HOUR_MS, 6 * HOUR_MS, DAY_MS, 2 * DAY_MS))
        return self._formed(
            site.name, points, start_ms, start_ms + length_ms, route=chance.choice(ROUTES)
        )

    def _live_ask(self) -> Ask:
        site, chance = self._live, self._chance
        points = tuple(chance.sample(site.points, chance.randint(1, len(site.points))))
        back_ms = chance.choice((MINUTE_MS, 5 * MINUTE_MS, 20 * MINUTE_MS))
        return self._formed(
            site.name, points, back_ms, 0, route=chance.choice(ROUTES), is_live=True
        )

    def _formed(
        self,
        site: str,
        points: tuple[str, ...],
        start_ms: int,
        end_ms: int,
        *,
        route: str | None,
        is_live: bool = False,
    ) -> Ask:
        chance = self._chance
        is_chosen = chance.random() < 0.12
        is_hasty = chance.random() < 0.04
        is_fresh = chance.random() < 0.1
        return Ask(
            site=site,
            points=points,
            start_ms=start_ms,
            end_ms=end_ms,
            route=route,
            format=chance.choice(("json", *FORMATS)),
            is_gzip=chance.random() < 0.6,
            is_post=chance.random() < 0.3,
            is_live=is_live,
            max_points=chance.choice((2, 4, 7, 50, 500)) if is_chosen else None,
            timeout_ms=chance.choice((1, 300, 3000)) if is_hasty else None,
            is_fresh=is_fresh,
        )

    def _job(self) -> Ask:
        """Return a question that becomes a job: some are asked for again and again."""
        site, chance = self._jobs, self._chance
        days = (site.end_ms - site.start_ms) // DAY_MS
        first = chance.randrange(0, days - 4)
        last = min(days, first + chance.choice((3, 5, 10, days)))
        count = chance.choice((2, 4, len(site.points)))
        start_at = chance.randrange(0, len(site.points) - count + 1)
        return self._formed(
            site.name,
            site.points[start_at : start_at + count],
            site.start_ms + first * DAY_MS,
            site.start_ms + last * DAY_MS,
            route="queued",
        )._replace(max_points=None, timeout_ms=None, is_post=True, is_fresh=False)


Handler = Callable[[Step], None]
