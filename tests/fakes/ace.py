"""An upstream that is a function, and what a test of the client needs around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from building_vitals.errors import UpstreamError
from building_vitals.instants import format_instant, parse_iso
from building_vitals.ports import HttpAnswer
from building_vitals.ranges import Range
from building_vitals.series.columns import Sample
from building_vitals.upstream.ace.client import AceClient
from building_vitals.upstream.ace.settings import UpstreamSettings
from fakes.clock import VirtualClock
from fakes.http import ScriptedHttp, SentRequest, Step, answer, page

Triple = tuple[str, Any, str]

NOW_MS = 1_735_689_600_000
HOUR = Range(NOW_MS, NOW_MS + 3_600_000)

# The minutes of the hour, as the upstream writes them.
T = [format_instant(NOW_MS + minute * 60_000) for minute in range(60)]

FOUND = answer(200, {"name": "hq"})
PATH = "/sites/hq/timeseries/paginated"


class FakeAce:
    """
    An upstream as a step of a script: a site's samples in pages, filters heeded or not.

    Attributes:
        page_size: Samples a page, whatever the request says.
        heeds_filter: Whether point_names filters.
    """

    def __init__(
        self,
        site: str,
        samples: Sequence[tuple[str, Any, str]],
        *,
        page_size: int = 3,
        heeds_filter: bool = True,
    ) -> None:
        self._site = site
        self._samples = samples
        self.page_size = page_size
        self.heeds_filter = heeds_filter

    def __call__(self, sent: SentRequest) -> HttpAnswer:
        """Answer one request."""
        path, query = unquote(sent.path), sent.query
        if path.endswith("/points/get_timeseries"):
            names = {each["name"] for each in json.loads(sent.body or b"")["points"]}
            found = self._in_range(query, names)
            return page(*found) if found else answer(404, {})
        if path.endswith(f"/sites/{self._site}"):
            return answer(200, {"name": self._site})
        if not path.endswith(f"/sites/{self._site}/timeseries/paginated"):
            return answer(404, {})
        filtered = self.heeds_filter and "point_names" in query
        found = self._in_range(query, set(query["point_names"].split(",")) if filtered else None)
        if not found:
            return answer(404, {})
        first = int(query.get("cursor", "at-0").removeprefix("at-"))
        last = first + self.page_size
        return page(*found[first:last], cursor=f"at-{last}" if last < len(found) else None)

    def _in_range(
        self, query: Mapping[str, str], names: set[str] | None
    ) -> list[tuple[str, Any, str]]:
        start_ms, end_ms = parse_iso(query["start_time"]), parse_iso(query["end_time"])
        return [
            each
            for each in self._samples
            if (names is None or each[0] in names) and start_ms <= parse_iso(each[2]) < end_ms
        ]


class Sink:
    """Keeps what it is given."""

    def __init__(self, on_add: Callable[[], None] | None = None) -> None:
        self.pages: list[list[Triple]] = []
        self._on_add = on_add

    def add_page(self, samples: Sequence[Sample]) -> None:
        """Keep a page."""
        self.pages.append([(each.name, each.value, each.time) for each in samples])
        if self._on_add is not None:
            self._on_add()

    @property
    def samples(self) -> list[Triple]:
        """All samples in the order they came."""
        return [sample for each in self.pages for sample in each]


class Bench:
    """A client over a script."""

    def __init__(self, *steps: Step, otherwise: Step | None = None, **options: Any) -> None:
        self.clock = VirtualClock(NOW_MS)
        self.http = ScriptedHttp(*steps, otherwise=otherwise)
        options = {"base_url": "https://u/api", "token": None, **options}
        self.client = AceClient(self.http, self.clock, UpstreamSettings(**options))
        self.sink = Sink()

    async def fetch(self, *points: str, **options: Any) -> Any:
        """Fetch an hour of the points, and assert that nothing is left running."""
        try:
            return await self.client.fetch_samples("hq", points, HOUR, self.sink, **options)
        finally:
            assert {asyncio.current_task()} == asyncio.all_tasks()

    async def failure(self, *points: str, **options: Any) -> UpstreamError:
        """Return the error that fetching the points ends in."""
        with pytest.raises(UpstreamError) as caught:
            await self.fetch(*points, **options)
        return caught.value

    def queries(self, name: str) -> list[str | None]:
        """Return one query parameter of all requests for pages."""
        return [sent.query.get(name) for sent in self.http.requests if "?" in sent.url]
