"""What a run has found: differences, faults, counts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

SHOWN_OF_A_KIND = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """
    Something that must not be.

    Attributes:
        number: The operation's; -1 for the time after all of them.
        rule: Which was broken.
        request: What was asked, as a line.
        text: What was expected and what came.
    """

    number: int
    rule: str
    request: str
    text: str


class Record:
    """
    Collects from all clients.

    Args:
        seed: Of the run, for messages.
        without: Rules whose differences are counted, but are not held against the Worker.
        say: Prints a line: a difference is told when it is found, not only at the end.
    """

    def __init__(
        self,
        seed: int,
        without: frozenset[str] = frozenset(),
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.seed = seed
        self.operations: Counter[str] = Counter()
        self.spent_ms: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.upkeep: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.set_aside: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.requests = 0
        self.differences: list[Difference] = []
        self._without = without
        self._say = say
        self._lock = Lock()
        self.began_s = time.monotonic()

    def note(self, number: int, rule: str, request: str, text: str) -> None:
        """Take a difference."""
        with self._lock:
            if rule in self._without:
                self.set_aside[rule] += 1
                return
            self.rules[rule] += 1
            if self.rules[rule] <= SHOWN_OF_A_KIND:
                found = Difference(number, rule, request, text)
                self.differences.append(found)
                if self._say is not None:
                    self._say(self._line(found))

    def answered(self, status: int, cache_status: str, took_s: float) -> None:
        """Count an answer; status 0 is none."""
        with self._lock:
            self.requests += 1
            self.statuses[f"{status} {cache_status}".strip()] += 1
            self.slowest_s = max(self.slowest_s, took_s)

    def did(self, operation: str, took_s: float) -> None:
        """Count an operation."""
        with self._lock:
            self.operations[operation] += 1
            self.spent_ms[operation] += round(took_s * 1000)

    def injected(self, kind: str) -> None:
        """Count a fault."""
        with self._lock:
            self.faults[kind] += 1

    def maintained(self, changed: Mapping[str, int]) -> None:
        """Count what a run of maintenance has changed, by step."""
        with self._lock:
            self.upkeep.update(changed)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.rules

    def lines(self, took_s: float) -> list[str]:
        """Return the report, line by line."""
        operations = self.operations.total()
        result = [
            f"{operations} operations, {self.requests} requests in {took_s:.0f} s, "
            f"{self.requests / max(took_s, 0.001):.1f} requests per second; "
            f"slowest {self.slowest_s:.2f} s",
            f"operations: {_counts(self.operations)}",
            f"ms per operation: {_counts(self._means())}",
            f"answers: {_counts(self.statuses)}",
            f"faults: {_counts(self.faults)}",
            f"maintenance: {_counts(self.upkeep)}",
            f"unexplained 5xx: {self.rules['unexplained']}",
        ]
        if self.set_aside:
            result.append(f"not held against it: {_counts(self.set_aside)}")
        result += map(self._line, self.differences)
        total = self.rules.total()
        result.append(
            "no differences" if not total else f"{total} differences: {_counts(self.rules)}"
        )
        return result

    def _line(self, found: Difference) -> str:
        where = f"operation {found.number}" if found.number >= 0 else "afterwards"
        return f"DIFFERENCE [{found.rule}] seed {self.seed}, {where}: {found.request}: {found.text}"

    def _means(self) -> Counter[str]:
        return Counter(
            {name: spent // self.operations[name] for name, spent in self.spent_ms.items()}
        )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
