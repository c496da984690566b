"""The command `bv`: what it prints and writes, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from building_vitals_client.cli.app import app
from building_vitals_client.cli.outcome import ExitCode, exit_code_of
from building_vitals_client.documents import Job
from building_vitals_client.errors import JobFailed
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

TIMESERIES = "POST /api/timeseries"
ROWS = [[1_735_689_600_000, 2.5], [1_735_689_900_000, 3.5]]
DATA = samples({"a [1]/x": ROWS})
CSV = Scripted(200, {"Content-Type": "text/csv"}, b"time,point,value\r\nt,p,1\r\n")
PAGE = {"page": 1, "pages": 1, "per_page": 5000, "total": 1}


def bv(api: ScriptedApi, *arguments: str, key: str = "bv_secret") -> Any:
    """Run the command in this process, its output no terminal."""
    environment = {"BV_URL": api.url, "BV_KEY": key, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_lists_are_tables_or_json(api: ScriptedApi) -> None:
    """Sites and points with the columns that they have; names with brackets stay whole."""
    items = [{"name": "hq[1]", "nice_name": "Head office", "id": 3}]
    api.tell("GET /api/sites", document({**PAGE, "items": items}))
    shown = bv(api, "sites")
    assert 0 == shown.exit_code
    assert "hq[1]" in shown.stdout
    assert "Head office" in shown.stdout
    assert items == json.loads(bv(api, "sites", "--json").stdout)
    api.tell("GET /api/sites/hq/points", document({**PAGE, "items": [{"name": "p", "unit": "C"}]}))
    shown = bv(api, "points", "hq", "zone", "temp")
    assert "1 points" in shown.stderr
    assert ["zone temp"] == api.asked("GET /api/sites/hq/points")[0].query["search"]
    assert "Bearer bv_secret" == api.received[0].headers["authorization"]


def test_samples_go_to_a_pipe_as_csv(api: ScriptedApi) -> None:
    """As the Worker writes them, with nothing else in between."""
    api.tell(TIMESERIES, CSV)
    found = bv(api, "get", "s", "p", "q", "--from", "now-1d", "--max-points", "9")
    assert CSV.body == found.stdout_bytes
    sent = api.asked(TIMESERIES)[0].body
    expected = {"site": "s", "points": ["p", "q"], "start_time": "now-1d", "end_time": "now"}
    assert expected | {"max_points": 9, "format": "csv"} == sent
    api.tell(TIMESERIES, DATA)
    assert json.loads(DATA.body) == json.loads(bv(api, "get", "s", "p", "--json").stdout)


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "json", "msgpack"])
def test_files_are_as_the_worker_writes_them(api: ScriptedApi, tmp_path: Path, suffix: str) -> None:
    """The name tells the format."""
    api.tell(TIMESERIES, CSV)
    found = bv(api, "get", "s", "p", "-o", str(tmp_path / f"a.{suffix}"))
    assert (0, "") == (found.exit_code, found.stdout)
    assert CSV.body == (tmp_path / f"a.{suffix}").read_bytes()
    assert suffix == api.asked(TIMESERIES)[0].body["format"]


def test_parquet_is_written_whole(api: ScriptedApi, tmp_path: Path) -> None:
    """Long or wide, with zones; a point that has nothing is told, and the status says so."""
    api.tell(TIMESERIES, DATA)
    file = tmp_path / "a.parquet"
    assert 0 == bv(api, "get", "s", "p", "-o", str(file)).exit_code
    frame = pl.read_parquet(file)
    assert [2.5, 3.5] == frame["value"].to_list()
    assert pl.Datetime("ms", "UTC") == frame["time"].dtype
    assert 0 == bv(api, "get", "s", "p", "--layout", "wide", "-o", str(file)).exit_code
    assert ["time", "a [1]/x"] == pl.read_parquet(file).columns
    data: dict[str, Any] = {"p": {"samples": [], "count": 0, "error": "unknown point"}}
    api.tell(TIMESERIES, document({"data": data, "_meta": {}}))
    found = bv(api, "get", "s", "p", "-o", str(file))
    assert ExitCode.INCOMPLETE == found.exit_code
    assert "p: unknown point" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("-o", "a.xlsx"), ".parquet"),
        (("-o", "nowhere/a.csv"), "no such folder"),
        (("--layout", "wide", "-o", "a.ndjson"), "wide"),
        (("--aggregate", "mean"), "interval"),
    ],
)
def test_what_cannot_be_is_refused_beforehand(
    api: ScriptedApi, arguments: tuple[str, ...], word: str
) -> None:
    """A file that could not be written is told before a request is sent."""
    found = bv(api, "get", "s", "p", *arguments)
    assert ExitCode.USAGE == found.exit_code
    assert word in found.stderr
    assert [] == api.received


@pytest.mark.parametrize("arguments", [(), ("-o", "a.csv"), ("--json",), ("-o", "a.parquet")])
def test_what_a_round_has_not_read_yet_is_fetched(
    api: ScriptedApi, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """With --fresh, to files and pipes alike; without it, nothing is said of it."""
    if arguments[:1] == ("-o",):
        arguments = ("-o", str(tmp_path / arguments[1]))
    is_csv = not arguments or arguments[-1].endswith(".csv")
    api.tell(TIMESERIES, CSV if is_csv else DATA)
    for more, expected in ((("--fresh",), True), ((), None)):
        assert 0 == bv(api, "get", "s", "p", *arguments, *more).exit_code
        assert expected == api.received[-1].body.get("fresh")


def test_a_failed_download_leaves_no_file(api: ScriptedApi, tmp_path: Path) -> None:
    """Neither a part nor a temporary file."""
    api.tell(TIMESERIES, problem(400, "Invalid", errors=[{"field": "site", "message": "wrong"}]))
    found = bv(api, "get", "s", "p", "-o", str(tmp_path / "a.csv"))
    assert ExitCode.REFUSED == found.exit_code
    assert "site: wrong" in found.stderr
    assert [] == list(tmp_path.iterdir())


def test_stale_data_are_told(api: ScriptedApi, tmp_path: Path) -> None:
    """The file is there, and the status says that samples may be missing."""
    headers = {**CSV.headers, "X-Cache-Status": "stale"}
    api.tell(TIMESERIES, Scripted(200, headers, CSV.body))
    found = bv(api, "get", "s", "p", "-o", str(tmp_path / "a.csv"))
    assert ExitCode.INCOMPLETE == found.exit_code
    assert "may lack samples" in found.stderr
    assert (tmp_path / "a.csv").exists()


ENDS: list[tuple[int, ExitCode]] = [
    *((400, ExitCode.REFUSED), (409, ExitCode.REFUSED), (401, ExitCode.NOT_ALLOWED)),
    *((403, ExitCode.NOT_ALLOWED), (404, ExitCode.NOT_FOUND), (410, ExitCode.OTHER)),
    *((429, ExitCode.UNAVAILABLE), (502, ExitCode.UNAVAILABLE), (503, ExitCode.UNAVAILABLE)),
    (500, ExitCode.UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "code"), ENDS)
def test_each_failure_has_its_status(api: ScriptedApi, status: int, code: ExitCode) -> None:
    """One line on standard error, no trace, and no key in it."""
    api.tell("DELETE /api/jobs/job_1", problem(status, "Failed", retry_after="999", detail="why"))
    found = bv(api, "cancel", "job_1")
    assert (code, "") == (found.exit_code, found.stdout)
    assert found.stderr.startswith(f"bv: {status} Failed: why")
    assert "bv_secret" not in found.stderr


def test_other_ends_have_their_status(api: ScriptedApi) -> None:
    """A wrong command line, no address, a job that failed."""
    assert ExitCode.USAGE == bv(api, "get", "s").exit_code
    assert ExitCode.USAGE == bv(api, "jobs", "--status", "lost").exit_code
    bare = CliRunner().invoke(app, ["sites"], env={"BV_URL": "", "BV_KEY": ""})
    assert (ExitCode.USAGE, True) == (bare.exit_code, "BV_URL" in bare.stderr)
    api.tell(TIMESERIES, QUEUED)
    api.tell("GET /api/jobs/job_1/events", events(job("failed", 5, error="no luck")))
    found = bv(api, "get", "s", "p")
    assert (ExitCode.JOB_ENDED, "") == (found.exit_code, found.stdout)
    assert "no luck" in found.stderr
    assert ExitCode.JOB_ENDED == exit_code_of(JobFailed(Job(job_id="j", status="failed")))


def test_jobs_are_listed_and_cancelled(api: ScriptedApi) -> None:
    """The newest so many; cancelling says so."""
    listed = {"jobs": [job("processing", 40)], "nextCursor": "more"}
    api.tell("GET /api/jobs", document(listed))
    shown = bv(api, "jobs", "--limit", "1", "--status", "processing")
    assert all(text in shown.stdout for text in ("job_1", "processing", "40"))
    assert ["1"] == api.asked("GET /api/jobs")[0].query["limit"]
    (found,) = json.loads(bv(api, "jobs", "--json", "--limit", "1").stdout)
    assert ("job_1", 40) == (found["jobId"], found["progress"])
    api.tell("DELETE /api/jobs/job_1", document({"success": True, "message": "m"}))
    assert "job_1 is cancelled" in bv(api, "cancel", "job_1").stderr


def test_figures_are_shown(api: ScriptedApi) -> None:
    """Statistics and rights, as tables and as JSON."""
    stats = {"cache": {"totalObjects": 5}, "requests": [{"route_type": "cached"}], "timestamp": "t"}
    api.tell("GET /api/stats", document(stats))
    shown = bv(api, "stats").stdout
    assert all(text in shown for text in ("totalObjects", "5", "route_type", "cached"))
    assert stats == json.loads(bv(api, "stats", "--json").stdout)
    mine = {"keyId": "k1", "role": "reader", "sites": ["s"], "limits": {"points": 5000}}
    api.tell("GET /api/me", document({**mine, "authMode": "keys"}))
    shown = bv(api, "me").stdout
    assert all(text in shown for text in ("k1", "reader", "5000"))
    assert "k1" == json.loads(bv(api, "me", "--json").stdout)["keyId"]


def test_keys_points_at_the_script(api: ScriptedApi) -> None:
    """Without asking anybody."""
    found = bv(api, "keys")
    assert "scripts/api_key.py create" in found.stdout
    assert [] == api.received


def on_a_terminal(api: ScriptedApi, *arguments: str) -> tuple[int, str]:
    """Run the installed command's entry on a terminal; returns its status and all that it shows."""
    mine, its = pty.openpty()
    source = Path(sys.modules["building_vitals_client"].__file__ or "").parents[1]
    environment = {**os.environ, "BV_URL": api.url, "COLUMNS": "120", "PYTHONPATH": str(source)}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-c", "from building_vitals_client.cli import main; main()", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment,
    )
    os.close(its)
    shown = io.BytesIO()
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown.write(chunk)
    os.close(mine)
    return process.wait(60), shown.getvalue().decode()


def test_a_terminal_gets_a_table_and_a_bar(api: ScriptedApi) -> None:
    """The first samples; what a job does meanwhile is shown and wiped away."""
    api.tell(TIMESERIES, QUEUED)
    api.tell("GET /api/jobs/job_1/events", events(job("processing", 40), job("completed", 100)))
    many = samples({"p": [[1_735_689_600_000 + n, n / 2] for n in range(30)]})
    api.tell("GET /api/jobs/job_1/data", many)
    status, shown = on_a_terminal(api, "get", "s", "p")
    assert 0 == status, shown
    assert "2025-01-01T00:00:00.019Z" in shown
    assert "00.020Z" not in shown
    assert "20 of 30 samples" in shown
    assert "receiving" in shown


def test_a_shell_can_complete_it(api: ScriptedApi) -> None:
    """The commands are offered as typer offers them."""
    environment = {"_BV_COMPLETE": "complete_bash", "COMP_WORDS": "bv ca", "COMP_CWORD": "1"}
    found = CliRunner().invoke(app, [], env=environment, prog_name="bv")
    assert ["cancel"] == found.stdout.split()


def test_csv_of_a_pipe_is_csv(api: ScriptedApi) -> None:
    """It reads as such."""
    api.tell(TIMESERIES, CSV)
    (row,) = csv.DictReader(io.StringIO(bv(api, "get", "s", "p").stdout))
    assert {"time": "t", "point": "p", "value": "1"} == row
