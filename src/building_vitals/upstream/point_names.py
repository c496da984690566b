"""
The names of the sites' points, as an isolate has last read them, and which of them are collected
often.

Separate from the lists themselves, which are large and lie in the bucket: a fetch asks for names
alone, each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from building_vitals.instants import is_recent

# Names of all remembered sites together: some 100 bytes each.
NAMES_REMEMBERED_MAX = 50_000
# A list of this age tells that a point is unknown; points are added to sites now and then.
RECHECK_MS = 60_000
# A reader that is silent for so long has died: its client has gone, and its tasks with it.
READING_MS_MAX = 2_000


class PointNames:
    """Names by site."""

    def __init__(self) -> None:
        self._sites: dict[str, tuple[int, frozenset[str]]] = {}
        self._intervals_ms: dict[str, Mapping[str, int]] = {}
        self._count = 0
        # Who reads a site's list, and when that was last heard of.
        self._readers: dict[str, tuple[object, int]] = {}

    @contextmanager
    def reading(self, site: str, now_ms: int) -> Iterator[Callable[[int], None]]:
        """Let others know that a site's list is being read; gives what says that it goes on."""
        mine = object()
        self._readers[site] = (mine, now_ms)

        def is_mine() -> bool:
            # One that was silent has been given up: another may read by now.
            return self._readers.get(site, (None, 0))[0] is mine

        def beat(now_ms: int) -> None:
            if is_mine():
                self._readers[site] = (mine, now_ms)

        try:
            yield beat
        finally:
            if is_mine():
                del self._readers[site]

    def is_being_read(self, site: str, now_ms: int) -> bool:
        """Return whether another request is reading a site's list, and lives."""
        reader = self._readers.get(site)
        return reader is not None and is_recent(reader[1], now_ms, READING_MS_MAX)

    def put(
        self,
        site: str,
        names: Iterable[str],
        read_ms: int,
        intervals_ms: Mapping[str, int] | None = None,
    ) -> None:
        """
        Remember a site's names as of *read_ms*; a full memory starts again.

        Args:
            site: Its name.
            names: Of its points.
            read_ms: When they were read.
            intervals_ms: How often samples are collected, of points where that is often.
        """
        found = frozenset(names)
        self._count += len(found) - len(self._sites.get(site, (0, frozenset()))[1])
        if self._count > NAMES_REMEMBERED_MAX:
            self._sites.clear()
            self._intervals_ms.clear()
            self._count = len(found)
        self._sites[site] = (read_ms, found)
        self._intervals_ms[site] = intervals_ms or {}

    def forget(self, site: str) -> None:
        """Forget a site's names."""
        self._count -= len(self._sites.pop(site, (0, frozenset()))[1])
        self._intervals_ms.pop(site, None)

    def intervals_ms(self, site: str) -> Mapping[str, int]:
        """Return how often samples of a site's points are collected, of those where it is often."""
        return self._intervals_ms.get(site, {})

    def get(self, site: str) -> tuple[int, frozenset[str]] | None:
        """Return when a site's names were read, and the names; None where they are not known."""
        return self._sites.get(site)

    def unknown(self, site: str, points: Collection[str], since_ms: int) -> frozenset[str]:
        """
        Return which points the site is known not to have.

        Args:
            site: Its name.
            points: Names to look for.
            since_ms: The moment that counts; an older list does not know the points that were
                added since.
        """
        read_ms, names = self._sites.get(site, (0, frozenset[str]()))
        if read_ms < since_ms - RECHECK_MS:
            return frozenset()
        return frozenset(point for point in points if point not in names)
