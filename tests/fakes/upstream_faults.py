"""
Which requests of which site a wart strikes.

Separate from the warts: these say what is wrong, this says when.
"""

import random
from collections import defaultdict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Any

from demo.messages import Reply, Request
from demo.routes import Call
from fakes.upstream_warts import WARTS, Answer, Exchange

TIMESERIES = frozenset({"timeseries", "site_timeseries", "point_timeseries", "points_timeseries"})
PAGES = frozenset({"timeseries"})
# Warts of cursors: calls without pages have none.
OF_PAGES = {
    *("repeating_cursor", "cursor_cycle", "scroll_id", "no_cursor"),
    *("empty_pages", "endless_empty_pages"),
}
ANY_CALL = TIMESERIES | {"sites", "site", "configured_points", "points", "weather"}


@dataclass(slots=True)
class Fault:
    """
    A wart with the requests it strikes.

    Attributes:
        on: Kinds of calls.
        skip: How many matching requests it lets pass first.
        probability: Of striking each request, drawn from *chance*.
        strikes: How often it has struck.
        memory: What the wart keeps from one strike to the next.
    """

    kind: str
    on: Collection[str]
    options: dict[str, Any]
    skip: int = 0
    probability: float = 1.0
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    strikes: int = 0
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault on one request."""

    kind: str
    number: int
    options: dict[str, Any]
    released: Event
    memory: dict[str, Any]

    def around(self, answer: Answer, call: Call) -> Answer:
        """Return *answer* spoilt."""

        def spoilt(request: Request) -> Reply:
            exchange = Exchange(
                request, call, self.number, self.options, self.released, self.memory
            )
            return WARTS[self.kind](exchange, answer)

        return spoilt


class Faults:
    """
    The faults of all sites.

    A request takes at most one fault given by `once` or `times` (in the order given), and every
    lasting one; of lasting ones, the later given is the outer. Faults strike timeseries calls
    unless *on* names other kinds (`ANY_CALL` for all), and those of cursors pages alone. Kinds are
    the keys of `WARTS`; further keywords are the wart's options.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._queued: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._lasting: defaultdict[str, list[Fault]] = defaultdict(list)
        self._released: defaultdict[str, Event] = defaultdict(Event)

    def once(
        self,
        site: str,
        kind: str | int,
        *,
        skip: int = 0,
        on: Collection[str] = TIMESERIES,
        **options: Any,
    ) -> None:
        """Strike one request, after letting *skip* pass."""
        self.times(site, kind, 1, skip=skip, on=on, **options)

    def times(
        self,
        site: str,
        kind: str | int,
        count: int,
        *,
        skip: int = 0,
        on: Collection[str] = TIMESERIES,
        **options: Any,
    ) -> None:
        """Strike *count* requests in a row, after letting *skip* pass."""
        with self._lock:
            for number in range(count):
                fault = self._fault(kind, on, options)
                fault.skip = 0 if number else skip
                self._queued[site].append(fault)

    def rate(
        self,
        site: str,
        kind: str | int,
        probability: float,
        seed: int,
        *,
        on: Collection[str] = TIMESERIES,
        **options: Any,
    ) -> None:
        """Strike each request with a probability, the same ones for the same seed."""
        with self._lock:
            fault = self._fault(kind, on, options)
            fault.probability = probability
            fault.chance = random.Random(seed)
            self._lasting[site].append(fault)

    def always(
        self, site: str, kind: str | int, *, on: Collection[str] = TIMESERIES, **options: Any
    ) -> None:
        """Strike every request."""
        with self._lock:
            self._lasting[site].append(self._fault(kind, on, options))

    def clear(self, site: str) -> None:
        """Strike no further request of a site, and release the hanging ones."""
        with self._lock:
            self._queued.pop(site, None)
            self._lasting.pop(site, None)
        self.release(site)

    def release(self, site: str) -> None:
        """End the waiting of a site's hanging and slow requests."""
        with self._lock:
            self._released.pop(site, Event()).set()

    def release_all(self) -> None:
        """End all waiting."""
        with self._lock:
            for released in self._released.values():
                released.set()
            self._released.clear()

    def take(self, site: str, call: Call) -> list[Strike]:
        """Return what strikes a request, the innermost first."""
        with self._lock:
            struck = [
                fault
                for fault in self._lasting.get(site, ())
                if call.kind in fault.on and fault.chance.random() < fault.probability
            ]
            queue = self._queued.get(site, deque())
            # One of cursors, where the site is asked by point, does not keep others from striking.
            first = next((e for e in queue if e.kind not in OF_PAGES or call.kind in e.on), None)
            if first is not None and call.kind in first.on:
                if first.skip:
                    first.skip -= 1
                else:
                    queue.remove(first)
                    struck.append(first)
            released = self._released[site] if struck else Event()
            for fault in struck:
                fault.strikes += 1
            return [
                Strike(fault.kind, fault.strikes, fault.options, released, fault.memory)
                for fault in struck
            ]

    @staticmethod
    def _fault(kind: str | int, on: Collection[str], options: dict[str, Any]) -> Fault:
        if str(kind) not in WARTS:
            raise ValueError(f"unknown fault: {kind}; one of {', '.join(WARTS)}")
        return Fault(str(kind), PAGES.intersection(on) if kind in OF_PAGES else on, options)
