"""What one client has seen of samples that changed: an answer never goes back in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.oracle import ABSENT, Version
from integration.harness.oracle import iso


@dataclass(frozen=True, slots=True)
class Sighting:
    """A sample of an answer that came from the cache, with the one version it can be."""

    site: str
    point: str
    at_ms: int
    version: Version


def text_of(value: object) -> str:
    """Return a value as a report shows it."""
    return value.value if value is ABSENT else repr(value)


class Memory:
    """
    What one client has seen: an answer never goes back in time.

    Answers that did not come from the cache do not count: they may know more than it.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, int], tuple[Version, int]] = {}

    def faults(self, sightings: Sequence[Sighting], number: int) -> Iterator[tuple[str, str]]:
        """Judge the sightings of an operation's answer against those before, and remember them."""
        for each in sightings:
            key = (each.site, each.point, each.at_ms)
            before, seen_in = self._seen.get(key, (None, 0))
            if before is not None and before.began_ms > each.version.began_ms:
                yield (
                    "going_back",
                    f"{each.point} at {iso(each.at_ms)} was {_dated(before)} in operation "
                    f"{seen_in} and is {_dated(each.version)} again",
                )
            else:
                self._seen[key] = each.version, number


def _dated(version: Version) -> str:
    """Return a version's value, and since when the upstream has it."""
    return f"{text_of(version.value)} (of {iso(version.began_ms)})"
