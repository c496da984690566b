"""An upstream that is a function, and what a test of the client needs around it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import unquote

import pytest

from building_vitals.errors import UpstreamError
from building_vitals.instants import format_instant, parse_iso
from building_vitals.ports import HttpAnswer
from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.profile import SiteProfile
from building_vitals.upstream.profiles import ProfileMemory, SiteProfiles
from fakes.clock import VirtualClock
from fakes.http import ScriptedHttp, SentRequest, Step, answer, page
from fakes.invocation import invocation
from fakes.profiles import RememberedProfiles

Triple = tuple[str, Any, str]
Advance = tuple[frozenset[str] | None, int]
# By number of the row; by moment and rows of it; the same with the service's known defect.
Cursors = Literal["rows", "places", "defective"]

BASE_URL = "https://u/api"
NOW_MS = 1_735_689_600_000
HOUR = Range(NOW_MS, NOW_MS + 3_600_000)

# Where filters are heeded, a client filters.
FILTER_HEEDED = SiteProfile(is_filter_heeded=True)

# The minutes of the hour, as the upstream writes them.
T = [format_instant(NOW_MS + minute * 60_000) for minute in range(60)]

FOUND = answer(200, {"name": "hq"})
PATH = "/sites/hq/timeseries/paginated"


def place_cursor(offset: int, timestamp: str) -> str:
    """Return a cursor as the service writes it."""
    text = json.dumps({"offset": offset, "timestamp": timestamp})
    return base64.b64encode(text.encode()).decode()


def next_place(
    rows: Sequence[str], first: int, last: int, incoming: str | None, *, is_defective: bool
) -> str:
    """
    Return the service's cursor after the rows from *first* to *last* of times in order.

    The defective one does not count the rows that the incoming cursor has counted.
    """
    moment = rows[last - 1]
    offset = rows[first:last].count(moment)
    if incoming is not None and not is_defective:
        before = json.loads(base64.b64decode(incoming))
        offset += before["offset"] if before["timestamp"] == moment else 0
    return place_cursor(offset, moment)


def row_of(rows: Sequence[str], cursor: str | None) -> int:
    """Return the row at which the page of a place's cursor begins."""
    if cursor is None:
        return 0
    place = json.loads(base64.b64decode(cursor))
    found = next((at for at, time in enumerate(rows) if time >= place["timestamp"]), len(rows))
    return min(len(rows), found + int(place["offset"]))


class FakeAce:
    """
    An upstream as a step of a script: a site's samples in pages, filters heeded or not.

    Attributes:
        page_size: Samples a page; None for as many as the request says.
        heeds_filter: Whether point_names filters.
        cursors: What its cursors say.
        is_naive: Whether times are sent without an offset.
        is_inclusive: Whether a sample at the end of the range is sent.
        names_max: Names that a call by point takes; more are a 400.
        by_point: What calls by point give, where it is not what pages give.
    """

    def __init__(
        self,
        site: str,
        samples: Sequence[Triple],
        *,
        page_size: int | None = 3,
        heeds_filter: bool = True,
        cursors: Cursors = "rows",
        is_naive: bool = False,
        is_inclusive: bool = False,
        names_max: int = 100,
        by_point: Sequence[Triple] | None = None,
    ) -> None:
        self._site = site
        self._samples = samples
        self.page_size = page_size
        self.heeds_filter = heeds_filter
        self.cursors = cursors
        self.is_naive = is_naive
        self.is_inclusive = is_inclusive
        self.names_max = names_max
        self.by_point = samples if by_point is None else by_point

    def __call__(self, sent: SentRequest) -> HttpAnswer:
        """Answer one request."""
        path, query = unquote(sent.path), sent.query
        if path.endswith("/points/get_timeseries"):
            names = {each["name"] for each in json.loads(sent.body or b"")["points"]}
            if len(names) > self.names_max:
                return answer(400, {"message": "too many points"})
            found = self._in_range(self.by_point, query, names)
            return page(*map(self._written, found)) if found else answer(404, {})
        if path.endswith(f"/sites/{self._site}"):
            return answer(200, {"name": self._site})
        if not path.endswith(f"/sites/{self._site}/timeseries/paginated"):
            return answer(404, {})
        filtered = self.heeds_filter and "point_names" in query
        asked = set(query["point_names"].split(",")) if filtered else None
        found = self._in_range(self._samples, query, asked)
        return self._page(found, query) if found else answer(404, {})

    def _page(self, found: list[Triple], query: Mapping[str, str]) -> HttpAnswer:
        incoming = query.get("cursor")
        page_size = int(query["page_size"]) if self.page_size is None else self.page_size
        times = [time for _, _, time in found]
        if self.cursors == "rows":
            first = int((incoming or "at-0").removeprefix("at-"))
        else:
            first = row_of(times, incoming)
        last = min(first + page_size, len(found))
        cursor = None
        if last < len(found) and self.cursors == "rows":
            cursor = f"at-{last}"
        elif last < len(found):
            is_defective = self.cursors == "defective"
            cursor = next_place(times, first, last, incoming, is_defective=is_defective)
        return page(*map(self._written, found[first:last]), cursor=cursor)

    def _in_range(
        self, samples: Sequence[Triple], query: Mapping[str, str], names: set[str] | None
    ) -> list[Triple]:
        start_ms, end_ms = parse_iso(query["start_time"]), parse_iso(query["end_time"])
        return [
            each
            for each in samples
            if (names is None or each[0] in names)
            and start_ms <= parse_iso(each[2]) < end_ms + self.is_inclusive
        ]

    def _written(self, sample: Triple) -> Triple:
        name, value, time = sample
        return (name, value, time.removesuffix("Z")) if self.is_naive else sample


class Sink:
    """
    Keeps what it is given.

    Attributes:
        advances: What it was told to be complete: names (None: all) and until when.
    """

    def __init__(self, on_add: Callable[[], None] | None = None) -> None:
        self.pages: list[list[Triple]] = []
        self.advances: list[Advance] = []
        self._on_add = on_add

    def add_page(self, samples: Sequence[Sample]) -> None:
        """Keep a page."""
        self.pages.append([(each.name, each.value, each.time) for each in samples])
        if self._on_add is not None:
            self._on_add()

    def advance(self, points: Collection[str] | None, until_ms: int) -> None:
        """Keep what is complete."""
        self.advances.append((None if points is None else frozenset(points), until_ms))

    @property
    def samples(self) -> list[Triple]:
        """All samples in the order they came."""
        return [sample for each in self.pages for sample in each]


class Bench:
    """
    A client over a script.

    Attributes:
        table: Where profiles are kept.
        works: What is left for after the answer.
    """

    def __init__(
        self,
        *steps: Step,
        otherwise: Step | None = None,
        profile: SiteProfile = FILTER_HEEDED,
        is_checked: bool = False,
        **options: Any,
    ) -> None:
        """
        Args:
            steps: The script.
            otherwise: Its end, as `ScriptedHttp` has it.
            profile: What is known of the site `hq` at first.
            is_checked: Whether the two ways of asking are compared when that is due.
            options: Of `UpstreamSettings`.
        """
        self.clock = VirtualClock(NOW_MS)
        self.http = ScriptedHttp(*steps, otherwise=otherwise)
        self.table = RememberedProfiles(BASE_URL)
        self.table.put("hq", profile)
        self.works: list[Coroutine[Any, Any, None]] = []
        self.profiles = SiteProfiles(
            table=self.table,
            memory=ProfileMemory(),
            invocation=invocation(self.clock, run_later=self.works.append),
        )
        options = {"base_url": BASE_URL, "token": None, **options}
        self.client = AceClient(
            self.http,
            self.clock,
            UpstreamSettings(**options),
            profiles=self.profiles,
            run_later=self.works.append if is_checked else None,
        )
        self.sink = Sink()

    async def fetch(self, *points: str, time_range: Range = HOUR, **options: Any) -> Any:
        """Fetch an hour of the points, and assert that nothing is left running."""
        try:
            return await self.client.fetch_samples("hq", points, time_range, self.sink, **options)
        finally:
            assert {asyncio.current_task()} == asyncio.all_tasks()
            await self.settle()

    async def fetch_site(self, site: str = "hq", **options: Any) -> Any:
        """Fetch an hour of all points of a site, and assert that nothing is left running."""
        try:
            return await self.client.fetch_site(site, HOUR, self.sink, **options)
        finally:
            assert {asyncio.current_task()} == asyncio.all_tasks()
            await self.settle()

    async def settle(self) -> None:
        """Do what is left for after the answer."""
        while self.works:
            await self.works.pop(0)

    async def failure(self, *points: str, **options: Any) -> UpstreamError:
        """Return the error that fetching the points ends in."""
        with pytest.raises(UpstreamError) as caught:
            await self.fetch(*points, **options)
        return caught.value

    def queries(self, name: str) -> list[str | None]:
        """Return one query parameter of all requests for pages."""
        return [sent.query.get(name) for sent in self.http.requests if "?" in sent.url]

    def names_asked(self) -> list[list[str]]:
        """Return the names in each call by point."""
        return [
            [each["name"] for each in json.loads(sent.body or b"")["points"]]
            for sent in self.http.requests
            if sent.method == "POST"
        ]

    @property
    def learned(self) -> SiteProfile:
        """What the site's profile is by now, in the table."""
        return self.table.rows[BASE_URL, "hq"].profile
