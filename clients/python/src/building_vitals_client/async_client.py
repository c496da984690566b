"""The asynchronous client: `client.py`, awaited."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from building_vitals_client.documents import Job, Me, Status
from building_vitals_client.driver import AsyncDriver
from building_vitals_client.files import FileFormat, file_target, whole_file
from building_vitals_client.flows import Flows, memory
from building_vitals_client.options import TIMEOUT_S, options_of, warned
from building_vitals_client.patience import PATIENCE_S
from building_vitals_client.progress import ProgressOption, progress_of
from building_vitals_client.question import Aggregates, Points, Question, question_of
from building_vitals_client.result import Layout, Timeseries
from building_vitals_client.times import Time

POLL_S = 2.0


class AsyncClient:
    """
    Asks a Building Vitals Worker, without blocking, under asyncio.

    Methods and arguments are those of `Client`. A task that is cancelled while it waits for a job
    cancels the job.

    >>> async def status() -> str:
    ...     async with AsyncClient(url) as client:
    ...         return (await client.health())["status"]
    >>> asyncio.run(status())
    'healthy'
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        options = options_of(url, key, timeout_s=timeout_s, patience_s=patience_s)
        self.url = options.url
        self._http = httpx.AsyncClient(**options.http_options(), transport=transport)
        self._driver = AsyncDriver(self._http)
        self._flows = Flows(options.patience_s)

    def __repr__(self) -> str:
        return f"AsyncClient({self.url!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def timeseries(
        self,
        site: str,
        points: Points,
        start: Time,
        end: Time | None = None,
        *,
        max_points: int | None = None,
        interval: str | None = None,
        aggregate: Aggregates = None,
        tz: str | None = None,
        route: str | None = None,
        priority: str | None = None,
        fresh: bool | None = None,
        progress: ProgressOption = "auto",
    ) -> Timeseries:
        """Return samples, few or many; see `Client.timeseries`."""
        question = question_of(
            site,
            points,
            start,
            end,
            max_points=max_points,
            interval=interval,
            aggregate=aggregate,
            tz=tz,
            more={"route": route, "priority": priority, "fresh": fresh},
        )
        flow = self._flows.timeseries(question, memory(question), progress_of(progress))
        return warned(await self._driver.run(flow))

    async def download(
        self,
        file: str | Path,
        site: str,
        points: Points,
        start: Time,
        end: Time | None = None,
        *,
        format: FileFormat = "csv",
        layout: Layout | None = None,
        max_points: int | None = None,
        interval: str | None = None,
        aggregate: Aggregates = None,
        tz: str | None = None,
        fresh: bool | None = None,
        progress: ProgressOption = "auto",
    ) -> int:
        """Write samples to a file, whole or not at all; see `Client.download`."""
        question = question_of(
            site,
            points,
            start,
            end,
            max_points=max_points,
            interval=interval,
            aggregate=aggregate,
            tz=tz,
            more={"layout": layout, "fresh": fresh},
        )
        with whole_file(Path(file)) as opened:
            target = file_target(opened, format)
            written: int = await self._driver.run(
                self._flows.timeseries(question, target, progress_of(progress))
            )
        return written

    async def sites(self) -> list[dict[str, Any]]:
        """Return the sites that the key may read."""
        return await self._driver.run(self._flows.sites())

    async def points(self, site: str, words: str | Iterable[str] = "") -> list[dict[str, Any]]:
        """Return the points of a site that have all words."""
        return await self._driver.run(self._flows.points(site, words))

    async def jobs(
        self, *, status: Status | None = None, site: str | None = None, limit: int | None = None
    ) -> list[Job]:
        """Return the key's jobs, the newest first; see `Client.jobs`."""
        return await self._driver.run(self._flows.jobs(status, site, limit))

    async def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return await self._driver.run(self._flows.job(job_id))

    async def wait(self, job_id: str, *, progress: ProgressOption = "auto") -> Job:
        """Return a job once it is completed; see `Client.wait`."""
        return await self._driver.run(self._flows.completed(job_id, POLL_S, progress_of(progress)))

    async def result(
        self, job_id: str, *, tz: str = "UTC", progress: ProgressOption = "auto"
    ) -> Timeseries:
        """Return the result of a completed job; see `Client.result`."""
        question = Question({}, (), tz)
        job = await self.job(job_id)
        flow = self._flows.job_result(job, memory(question), progress_of(progress))
        return warned(await self._driver.run(flow))

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; raises Conflict when it has ended already."""
        await self._driver.run(self._flows.cancel(job_id))

    async def stats(self) -> dict[str, Any]:
        """Return the Worker's statistics; for administrators."""
        return await self._driver.run(self._flows.get(dict[str, Any], "/api/stats"))

    async def me(self) -> Me:
        """Return what the key may do."""
        return await self._driver.run(self._flows.me())

    async def health(self) -> dict[str, Any]:
        """Return the Worker's health, be it degraded; asks once."""
        return await self._driver.run(self._flows.health())
