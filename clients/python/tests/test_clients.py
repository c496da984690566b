"""Both clients over real HTTP, with a server that answers as it is told."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from building_vitals_client import (
    AsyncClient,
    BrokenDownload,
    Client,
    ConnectionLost,
    NotAllowed,
    StaleData,
)
from fakes.scripted_api import (
    QUEUED,
    Scripted,
    ScriptedApi,
    document,
    events,
    job,
    problem,
    samples,
)

DATA = samples({"p": [[1_735_689_600_000, 2.5]]})
TIMESERIES, RESULT = "POST /api/timeseries", "GET /api/jobs/job_1/data"
EVENTS, CANCEL = "GET /api/jobs/job_1/events", "DELETE /api/jobs/job_1"


def ask_both(api: ScriptedApi, **more: Any) -> list[Any]:
    """Return what the same call gets from both clients."""
    arguments = ("s", ["p"], "2025-01-01", "2025-01-02")
    with Client(api.url) as client:
        blocking = client.timeseries(*arguments, **more)

    async def ask() -> Any:
        async with AsyncClient(api.url) as client:
            return await client.timeseries(*arguments, **more)

    return [blocking, asyncio.run(ask())]


def test_both_clients_send_and_get_the_same(api: ScriptedApi) -> None:
    """What one does, the other does."""
    api.tell(TIMESERIES, DATA)
    assert [{"p": [(1_735_689_600_000, 2.5)]}] * 2 == [each.samples for each in ask_both(api)]
    first, second = api.asked(TIMESERIES)
    assert first.body == second.body
    expected = {"site": "s", "points": ["p"], "format": "json"}
    times = {"start_time": "2025-01-01", "end_time": "2025-01-02"}
    assert expected | times == first.body
    assert "authorization" not in first.headers
    assert "gzip" == first.headers["accept-encoding"]


def test_aggregates_are_asked_for_by_the_contract(api: ScriptedApi) -> None:
    """interval, aggregate and tz go out; rows of several values come back as columns."""
    rows = [[1_761_433_200_000, 1.5, 3], [1_761_523_200_000, 2.5, 4]]
    api.tell(TIMESERIES, samples({"p": rows}, columns=["mean", "count"]))
    for result in ask_both(api, interval="1d", aggregate=["mean", "count"], tz="Europe/London"):
        frame = result.to_pandas()
        assert ["time", "point", "mean", "count"] == frame.columns.tolist()
        # A day of 25 hours lies between them.
        assert ["2025-10-26T00:00:00+01:00", "2025-10-27T00:00:00+00:00"] == [
            each.isoformat() for each in frame["time"]
        ]
    sent = api.asked(TIMESERIES)[0].body
    given = [sent[name] for name in ("interval", "aggregate", "tz")]
    assert ["1d", "mean,count", "Europe/London"] == given


def test_gzip_is_inflated_and_its_end_is_seen(api: ScriptedApi, client: Client) -> None:
    """A stream that was cut inside is asked for again, though HTTP called it whole."""
    zipped = gzip.compress(DATA.body)
    headers = {**DATA.headers, "Content-Encoding": "gzip"}
    api.tell(TIMESERIES, Scripted(200, headers, zipped[:-8]), Scripted(200, headers, zipped))
    assert 1 == len(client.timeseries("s", "p", 1_735_689_600_000))
    assert 2 == len(api.asked(TIMESERIES))


def test_a_connection_that_breaks_is_noticed(api: ScriptedApi, client: Client) -> None:
    """An answer without its end is asked for again, and given up with the patience."""
    cut = Scripted(200, DATA.headers, DATA.body, is_cut=True)
    api.tell(TIMESERIES, cut, cut, DATA)
    assert 1 == len(client.timeseries("s", "p", 1_735_689_600_000))
    api.tell(TIMESERIES, cut)
    with Client(api.url, patience_s=0) as hasty, pytest.raises(BrokenDownload):
        hasty.timeseries("s", "p", 1_735_689_600_000)
    assert 3 + 1 == len(api.asked(TIMESERIES))


def test_nobody_there_is_a_lost_connection() -> None:
    """A closed port; with no patience, at once."""
    with Client("http://127.0.0.1:9", patience_s=0) as client, pytest.raises(ConnectionLost):
        client.me()


def test_jobs_are_waited_for(api: ScriptedApi) -> None:
    """Events, then the result, with whatever progress there is; by both clients."""
    api.tell(TIMESERIES, QUEUED)
    api.tell(EVENTS, events(job("processing", 50), job("completed", 100)))
    api.tell(RESULT, DATA)
    shown: list[Any] = []
    assert [1, 1] == [len(each) for each in ask_both(api, progress=shown.append)]
    assert [50, 100, 50, 100] == [each.job.progress for each in shown if each.stage == "waiting"]
    assert all(["json"] == each.query["format"] for each in api.asked(RESULT))


def test_an_interrupt_cancels_the_job(api: ScriptedApi, client: Client) -> None:
    """Ctrl-C in a wait: the job is cancelled before the interrupt goes on."""
    held = threading.Event()
    api.tell(TIMESERIES, QUEUED)
    stream = events(job("processing", 5))
    api.tell(EVENTS, Scripted(200, stream.headers, stream.body, held=held))
    api.tell(CANCEL, document({"success": True, "message": "cancelled"}))

    def interrupt(_: Any) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        client.timeseries("s", "p", 1_735_689_600_000, progress=interrupt)
    held.set()
    assert 1 == len(api.asked(CANCEL))


@pytest.mark.parametrize("way", ["task", "scope"])
async def test_a_cancelled_task_cancels_the_job(api: ScriptedApi, way: str) -> None:
    """Cancelling while it waits, by asyncio or by anyio: the job is cancelled, then the task."""
    held = threading.Event()
    api.tell(TIMESERIES, QUEUED)
    stream = events(job("processing", 5))
    api.tell(EVENTS, Scripted(200, stream.headers, stream.body, held=held))
    api.tell(CANCEL, document({"success": True, "message": "cancelled"}))

    async def leave(scope: anyio.CancelScope) -> None:
        async with AsyncClient(api.url) as client:
            with scope:
                await client.timeseries(
                    "s", "p", 1_735_689_600_000, progress=lambda _: cancel[way]()
                )

    scope = anyio.CancelScope()
    task = asyncio.create_task(leave(scope))
    cancel: dict[str, Any] = {"task": task.cancel, "scope": scope.cancel}
    await asyncio.wait([task])
    held.set()
    assert (way == "task", way == "scope") == (task.cancelled(), scope.cancelled_caught)
    assert 1 == len(api.asked(CANCEL))


def test_a_stale_answer_is_warned_of(api: ScriptedApi, client: Client) -> None:
    """It may lack samples; the warning says which."""
    cache = {"status": "stale", "missing": [[1_735_689_600_000, 1_735_693_200_000]]}
    api.tell(TIMESERIES, samples({"p": []}, cache=cache))
    with pytest.warns(StaleData, match=r"2025-01-01T00:00:00\+00:00 to 2025-01-01T01:00"):
        result = client.timeseries("s", "p", 1_735_689_600_000)
    assert result.is_stale


def test_the_key_is_sent_and_shown_nowhere(api: ScriptedApi, client: Client) -> None:
    """As a bearer token; no error and no repr holds it."""
    api.tell("GET /api/me", problem(401, "API key required", detail="no such key"))
    with pytest.raises(NotAllowed) as caught:
        client.me()
    assert "Bearer secret-key" == api.received[0].headers["authorization"]
    assert "secret-key" not in f"{caught.value!r} {caught.value} {client!r}"


CSV = Scripted(200, {"Content-Type": "text/csv"}, b"time,point,value\r\n")


def test_files_are_written_whole(api: ScriptedApi, client: Client, tmp_path: Path) -> None:
    """A broken attempt leaves nothing of itself in the file."""
    longer = Scripted(200, CSV.headers, CSV.body * 9, is_cut=True)
    api.tell(TIMESERIES, longer, problem(503, "Busy", retry_after="0"), CSV)
    assert len(CSV.body) == client.download(tmp_path / "a.csv", "s", "p", "2025-01-01")
    assert CSV.body == (tmp_path / "a.csv").read_bytes()
    assert ["a.csv"] == [each.name for each in tmp_path.iterdir()]
    assert "csv" == api.asked(TIMESERIES)[0].body["format"]


def test_a_file_that_fails_is_not_there(api: ScriptedApi, tmp_path: Path) -> None:
    """And the one that was there stays as it was."""
    old = tmp_path / "a.csv"
    old.write_text("old")
    api.tell(TIMESERIES, Scripted(200, CSV.headers, CSV.body, is_cut=True))
    for name in ("a.csv", "b.csv"):
        with Client(api.url, patience_s=0) as client, pytest.raises(BrokenDownload):
            client.download(tmp_path / name, "s", "p", "2025-01-01")
    assert {"a.csv": "old"} == {each.name: each.read_text() for each in tmp_path.iterdir()}


def test_the_asynchronous_client_downloads_too(api: ScriptedApi, tmp_path: Path) -> None:
    """With the layout and the format asked for."""
    api.tell(TIMESERIES, CSV)

    async def download() -> int:
        async with AsyncClient(api.url) as client:
            return await client.download(
                tmp_path / "a.csv", "s", "p", "2025-01-01", layout="wide", max_points=10
            )

    assert len(CSV.body) == asyncio.run(download())
    sent = api.asked(TIMESERIES)[0].body
    assert ["csv", "wide", 10] == [sent[name] for name in ("format", "layout", "max_points")]


def test_small_calls_of_both_clients(api: ScriptedApi, client: Client) -> None:
    """Sites, points, jobs, me, stats, health: each asks its route, and both return the same."""
    page = {"page": 1, "pages": 1, "per_page": 5000, "total": 1, "items": [{"name": "x"}]}
    me = {"keyId": "k", "role": "reader", "sites": ["s"], "limits": {}, "authMode": "keys"}
    api.tell("GET /api/sites", document(page))
    api.tell("GET /api/sites/s/points", document(page))
    api.tell("GET /api/jobs", document({"jobs": [job("queued")], "nextCursor": None}))
    api.tell("GET /api/jobs/job_1", document(job("completed", 100)))
    api.tell(EVENTS, events(job("completed", 100)))
    api.tell(RESULT, DATA)
    api.tell(CANCEL, document({"success": True, "message": "m"}))
    api.tell("GET /api/me", document(me))
    api.tell("GET /api/stats", document({"cache": {}}))
    api.tell("GET /api/health", document({"status": "healthy", "checks": {}}))
    calls: list[tuple[str, tuple[str, ...]]] = [
        *(("sites", ()), ("points", ("s", "zone")), ("jobs", ()), ("job", ("job_1",))),
        *(("wait", ("job_1",)), ("cancel", ("job_1",)), ("me", ()), ("stats", ()), ("health", ())),
    ]
    blocking = [getattr(client, name)(*arguments) for name, arguments in calls]

    async def all_calls() -> list[Any]:
        async with AsyncClient(api.url, "secret-key") as opened:
            results = [await getattr(opened, name)(*arguments) for name, arguments in calls]
            assert 1 == len(await opened.result("job_1"))
            return results

    assert blocking == asyncio.run(all_calls())
    assert 1 == len(client.result("job_1"))
    assert ["zone"] == api.asked("GET /api/sites/s/points")[0].query["search"]
