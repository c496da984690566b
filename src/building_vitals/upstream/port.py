"""
The port of an upstream, as Protocols.

An upstream of another kind is a folder beside `ace/` that implements them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.upstream.costs import FetchCosts
from building_vitals.upstream.profile import Source

Items = list[dict[str, Any]]


class FetchCount(Protocol):
    """
    The requests and samples of a fetch so far.

    *is_by_point* where calls by point give them; nothing of the *strangers*, which are not points
    of the site, may be kept.
    """

    requests: int
    samples_received: int
    is_by_point: bool
    strangers: frozenset[str]


OnPage = Callable[[FetchCount], Awaitable[None]]
# Asked before another page is asked for, whether one is still wanted.
GoesOn = Callable[[], bool]


class SampleSink(Protocol):
    """Takes the samples of a fetch."""

    def add_page(self, samples: Sequence[Sample]) -> None:
        """
        Take one page, as it was sent: other points, other times, duplicates and disorder included.

        Pages of one stream come in their order; those of streams of other points come in between.
        A sample that cannot be read is left out and counted.
        """
        ...

    def advance(self, points: Collection[str] | None, until_ms: int) -> None:
        """
        Note that every sample before *until_ms* of some points (None: of all) has been given.

        What is complete so far is worth keeping even if the fetch fails later.
        """
        ...


class Upstream(Protocol):
    """Where samples come from."""

    async def costs(self, site: str, *, for_job: bool = False) -> FetchCosts:
        """
        Return what fetches of a site cost; never fails.

        With *for_job*, what those of a job will, for which nobody waits: the upstream may be asked
        then how large a site is of which nothing is known.
        """
        ...

    def source(self, site: str, points_count: int, duration_ms: int) -> Source | None:
        """
        Return where a fetch gets its samples; None where it makes no difference.

        It is told by what is known of the site without asking: `costs` makes it known.
        """
        ...

    def lateness_ms(self, site: str) -> int | None:
        """Return how late a site's samples come, as a rule; None where that is not known yet."""
        ...

    def unknown_points(self, site: str, points: Collection[str], since_ms: int) -> frozenset[str]:
        """Return which points the site is known not to have, as of *since_ms* or later."""
        ...

    async def check_points(self, site: str, points: Collection[str]) -> None:
        """
        Make known which of the points the site has.

        Raises:
            AppError: the site's list could not be read.
        """
        ...

    async def fetch_samples(
        self,
        site: str,
        points: Sequence[str],
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        source: Source | None = None,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* every page; return when the last has come, or raise an AppError.

        With *source*, the samples come from there, else by the cheaper way.

        The sink is told what is complete before each call of *on_page*, and at the end that all is.
        """
        ...

    async def fetch_site(
        self,
        site: str,
        time_range: Range,
        sink: SampleSink,
        *,
        deadline_ms: int | None = None,
        goes_on: GoesOn = lambda: True,
        on_page: OnPage | None = None,
    ) -> FetchCount:
        """
        Give *sink* the pages of all points of a site, whatever they are called.

        It returns when the last has come, or where *goes_on* says no, or raises an AppError. The
        sink knows how far it has come: it is told what is complete as `fetch_samples` tells it. A
        page that has been asked for is waited for, so that an end costs no request.
        """
        ...


class PointLists(Protocol):
    """Knows which points a site has."""

    async def own_points(
        self,
        site: str,
        names: Collection[str],
        *,
        deadline_ms: int | None,
        on_ask: Callable[[], None] = lambda: None,
    ) -> frozenset[str]:
        """
        Return those of *names* that are points of the site; *on_ask* is told before that takes a
        request.

        Raises:
            UpstreamSiteUnknown: there is no such site.
            UpstreamError: the upstream's list could not be read.
        """
        ...


class Listings(Protocol):
    """Lists sites and points."""

    async def list_sites(self, *, deadline_ms: int | None = None) -> Items:
        """Return every site."""
        ...

    async def list_points(self, site: str, *, deadline_ms: int | None = None) -> Items:
        """Return every point of a site."""
        ...


class UpstreamGate(Protocol):
    """Decides when the next request may go out: the Worker's own quota."""

    async def admit(self, deadline_ms: int | None) -> None:
        """
        Return when a request may be sent.

        Raises:
            UpstreamLimited: no request may be sent before *deadline_ms*; None waits on.
        """
        ...

    def limited(self, retry_after_ms: int | None) -> None:
        """Note that the upstream answered 429; None when it did not say for how long."""
        ...
