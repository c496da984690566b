"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from building_vitals_client.documents import Job, Me, Status
from building_vitals_client.driver import Driver
from building_vitals_client.files import FileFormat, file_target, whole_file
from building_vitals_client.flows import Flows, memory
from building_vitals_client.options import TIMEOUT_S, options_of, warned
from building_vitals_client.patience import PATIENCE_S
from building_vitals_client.progress import ProgressOption, progress_of
from building_vitals_client.question import Aggregates, Points, Question, question_of
from building_vitals_client.result import Layout, Timeseries
from building_vitals_client.times import Time

POLL_S = 2.0


class Client:
    """
    Asks a Building Vitals Worker, and blocks until it has answered.

    Requests are repeated where that helps: when the connection breaks, and as `Retry-After` says
    when the Worker is busy. One client may be used by many threads.

    Args:
        url: The Worker's address; by default the environment's BV_URL.
        key: API key; by default the environment's BV_KEY, if any.
        timeout_s: How long an answer may say nothing, in seconds.
        patience_s: How long the pauses between the attempts of one request may be together, in
            seconds; 0 for one attempt.
        transport: Of httpx, for tests and proxies.

    Raises:
        ValueError: no address is given.

    >>> with Client(url) as client:
    ...     client.health()["status"]
    'healthy'
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        options = options_of(url, key, timeout_s=timeout_s, patience_s=patience_s)
        self.url = options.url
        self._http = httpx.Client(**options.http_options(), transport=transport)
        self._driver = Driver(self._http)
        self._flows = Flows(options.patience_s)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def timeseries(
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
        """
        Return samples, few or many: a request that becomes a job is waited for.

        An interrupt (Ctrl-C) while it waits cancels the job.

        Args:
            site: Its name.
            points: A name, or names.
            start: The first instant: text (ISO 8601, `now-7d`), a datetime with a zone, a date, or
                epoch milliseconds.
            end: The first instant that is not included; the present if left out.
            max_points: At most so many samples per point, peaks among them.
            interval: Width of buckets (`15m`, `1h`, `1d`, `1w`, `1mo`) to aggregate by.
            aggregate: One or more of mean, min, max, sum, count, first, last, twa, delta.
            tz: IANA name of the zone: where buckets begin, what dates mean, and what DataFrames
                show. UTC by default.
            route: `direct`, `cached` or `queued`, in place of the Worker's choice.
            priority: `low`, `normal` or `high`, of a job.
            fresh: Whether to fetch what came after a followed site's last round.
            progress: Called with each `Progress`; True for a bar of tqdm, False for none, "auto"
                for a bar where tqdm and a terminal are there.

        Raises:
            BadRequest: the Worker names every problem.
            JobFailed, JobCancelled: the request became a job that ended so.
            BuildingVitalsError: anything else; see `errors`.

        >>> result = client.timeseries(site, point, "2025-01-01", "2025-01-02")
        >>> len(result)
        288
        >>> result.samples[point][0]
        (1735689600000, 578.83)
        >>> result.to_pandas().dtypes.astype(str).to_dict()
        {'time': 'datetime64[ms, UTC]', 'point': 'category', 'value': 'float64'}
        """
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
        return warned(self._driver.run(flow))

    def download(
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
        """
        Write samples to a file as the Worker writes them, with every digit; returns its bytes.

        The file is there when it is whole, and not before; memory does not grow with it.

        Args:
            file: Replaced if it exists.
            site: As in `timeseries`, as what follows.
            points: A name, or names.
            start: The first instant.
            end: The first instant that is not included.
            format: `csv`, `ndjson`, `json` or `msgpack`.
            layout: Of CSV: `long` (a row per sample), or `wide` (a column per point).
            max_points: At most so many samples per point.
            interval: Width of buckets to aggregate by.
            aggregate: One or more aggregates.
            tz: IANA name of a zone.
            fresh: Whether to fetch what came after a followed site's last round.
            progress: What is told of the progress.

        Raises:
            OSError: the file cannot be written.
            BuildingVitalsError: as `timeseries`.

        >>> client.download(folder / "day.csv", site, point, "2025-01-01", "2025-01-02") > 10_000
        True
        """
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
            written: int = self._driver.run(
                self._flows.timeseries(question, target, progress_of(progress))
            )
        return written

    def sites(self) -> list[dict[str, Any]]:
        """
        Return the sites that the key may read, as the upstream describes them.

        >>> "name" in client.sites()[0]
        True
        """
        return self._driver.run(self._flows.sites())

    def points(self, site: str, words: str | Iterable[str] = "") -> list[dict[str, Any]]:
        """
        Return the points of a site, as the upstream describes them.

        Args:
            site: Its name.
            words: All of these must occur in a point's name, unit or tags; as one text, or several.

        >>> [each["name"] for each in client.points(site, "temperature 0000")] == [point]
        True
        """
        return self._driver.run(self._flows.points(site, words))

    def jobs(
        self, *, status: Status | None = None, site: str | None = None, limit: int | None = None
    ) -> list[Job]:
        """Return the key's jobs, the newest first; all of them unless *limit* says how many."""
        return self._driver.run(self._flows.jobs(status, site, limit))

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return self._driver.run(self._flows.job(job_id))

    def wait(self, job_id: str, *, progress: ProgressOption = "auto") -> Job:
        """
        Return a job once it is completed; an interrupt leaves it running.

        Raises:
            JobFailed, JobCancelled: it ended so.
        """
        return self._driver.run(self._flows.completed(job_id, POLL_S, progress_of(progress)))

    def result(
        self, job_id: str, *, tz: str = "UTC", progress: ProgressOption = "auto"
    ) -> Timeseries:
        """
        Return the result of a completed job, in the form that it was asked for.

        Raises:
            Conflict: it is not completed; see `wait`.
            ResultExpired: it is kept no longer.
        """
        question = Question({}, (), tz)
        job = self.job(job_id)
        flow = self._flows.job_result(job, memory(question), progress_of(progress))
        return warned(self._driver.run(flow))

    def cancel(self, job_id: str) -> None:
        """
        Cancel a job.

        Raises:
            Conflict: it has ended already.
        """
        self._driver.run(self._flows.cancel(job_id))

    def stats(self) -> dict[str, Any]:
        """Return the Worker's statistics; for administrators."""
        return self._driver.run(self._flows.get(dict[str, Any], "/api/stats"))

    def me(self) -> Me:
        """
        Return what the key may do.

        >>> client.me().role
        'admin'
        """
        return self._driver.run(self._flows.me())

    def health(self) -> dict[str, Any]:
        """Return the Worker's health, be it degraded; asks once."""
        return self._driver.run(self._flows.health())
