"""scripts/dev.py as its users and the acceptance checks meet it: starts, messages, ends, state."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devtools.servers import free_port, is_listening
from integration.harness.client import Client, until
from integration.harness.processes import Process, descendants, survivors
from integration.harness.worker_server import DEV, WorkerServer

END_S = 40.0
TOKEN = "a-token-that-nobody-may-see"


def run_dev(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dev.py to its end."""
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(DEV), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def end_and_count_survivors(server: WorkerServer, number: signal.Signals) -> list[str]:
    """Send *number* to dev.py itself and wait for its end; returns what it left behind."""
    assert server.process is not None
    started = descendants(server.process.pid)
    assert any("workerd" in process.command for process in started)
    os.kill(server.process.pid, number)
    server.process.wait(END_S)
    return [process.command for process in survivors(started)]


def database_files(state: Path) -> list[Path]:
    """Return the SQLite files of the local D1 database, its own book-keeping left out."""
    files = sorted((state / "v3" / "d1").rglob("*.sqlite"))
    return [file for file in files if file.name != "metadata.sqlite"]


def write_marker(state: Path) -> None:
    """Write one row of a table that only this test knows into the database."""
    (file,) = database_files(state)
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE marker (text TEXT)")
        database.execute("INSERT INTO marker VALUES ('kept')")
    database.close()


def read_markers(state: Path) -> list[tuple[str]]:
    """Return the rows that write_marker has written."""
    (file,) = database_files(state)
    with sqlite3.connect(file) as database:
        rows = database.execute("SELECT text FROM marker").fetchall()
    database.close()
    return rows


def test_demo_run_starts_and_ends_on_sigint(tmp_path: Path) -> None:
    """Without options the demo upstream is served too; SIGINT ends it all with status 0."""
    server = WorkerServer(tmp_path).start()
    try:
        health = server.client.get("/api/health")
        example = until(
            lambda: [line for line in server.log.splitlines() if line.startswith("Try: curl ")],
            what="curl line",
        )
        left = end_and_count_survivors(server, signal.SIGINT)
    finally:
        server.kill()
    assert health.status == 200
    assert server.process is not None
    assert server.process.returncode == 0, server.tail()
    assert [] == left
    assert server.log.count("Ready on") == 1
    assert f"{server.url}/api/timeseries?site=" in example[0]
    assert f"Page: {server.url}/?site=" in server.log


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerServer]:
    """A run that tests kill, and start again in its folder."""
    server = WorkerServer(
        tmp_path_factory.mktemp("killed"),
        upstream=f"http://127.0.0.1:{free_port()}/api",
        token=TOKEN,
    )
    yield server
    if server.process is not None:
        server.stop()


@pytest.fixture
def running(run: WorkerServer) -> WorkerServer:
    """The same, running."""
    if run.process is None or run.process.poll() is not None:
        run.start()
    return run


def test_killed_run_leaves_nothing_but_its_state(running: WorkerServer) -> None:
    """After SIGKILL of dev.py all it started ends, no token stays, the state is found again."""
    assert running.process is not None
    started = descendants(running.process.pid)
    assert [] == [process.command for process in started if TOKEN in process.command]
    keeper = next(process.command for process in started if "--remove" in process.command)
    run_folder, scratch = (Path(part.split()[0]) for part in keeper.split("--remove ")[1:])
    # Where wrangler would otherwise copy a thousand modules into the project.
    assert [] != list(scratch.glob("dev-*/building_vitals/app.py"))
    assert (run_folder / "run.env").stat().st_mode & 0o077 == 0
    running.process.kill()
    running.process.wait()
    until(lambda: not survivors(started), END_S, what="end of all processes")
    folders = (run_folder, scratch)
    until(lambda: not any(map(Path.exists, folders)), END_S, what="removal of the run's folders")
    assert not is_listening(running.port)
    assert TOKEN not in running.log
    write_marker(running.state)
    running.start()
    assert running.client.get("/api/health").status in {200, 503}
    found = [each.command for each in descendants(running.process.pid)]
    assert any("--python-load-snapshot=" in command for command in found), found
    assert [("kept",)] == read_markers(running.state)


def test_restart_may_come_at_once_after_a_kill(running: WorkerServer) -> None:
    """
    A run that is started while a killed one still ends, on its port and state, waits for it.

    It begins with the memory that an earlier start has saved.
    """
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    running.start()
    assert running.client.get("/api/health").status in {200, 503}
    found = [each.command for each in descendants(running.process.pid)]
    assert any("--python-load-snapshot=" in command for command in found), found


def test_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """When wrangler dies before the Worker answers, dev.py says so last and ends with 1."""
    server = WorkerServer(tmp_path, upstream=f"http://127.0.0.1:{free_port()}/api")
    process = server.launch()

    def wrangler() -> list[int]:
        return [found.pid for found in descendants(process.pid) if "/cli.js dev " in found.command]

    try:
        (pid, *_) = until(wrangler, 300, what="wrangler")
        started = descendants(process.pid)
        os.kill(pid, signal.SIGKILL)
        process.wait(END_S)
    finally:
        server.kill()
    assert process.returncode == 1
    assert "dev.py: wrangler ended with status" in server.tail().splitlines()[-1]
    assert [] == survivors(started)
    assert not is_listening(server.port)


def is_up_or_over(server: WorkerServer, process: subprocess.Popen[bytes]) -> bool:
    """Return whether a run is ready, or has ended."""
    return server.ready_line in server.log or process.poll() is not None


def test_two_runs_start_at_the_same_time(tmp_path: Path) -> None:
    """Each has its own ports and state, wrangler's inspector included, and both answer."""
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    servers = [WorkerServer(tmp_path / name, upstream=nowhere) for name in ("one", "two")]
    try:
        processes = [server.launch() for server in servers]
        for server, process in zip(servers, processes, strict=True):
            until(partial(is_up_or_over, server, process), 300, what="start")
            assert process.poll() is None, server.tail()
        assert [200, 200] == [server.client.get("/api/health").status for server in servers]
        assert [0, 0] == [server.stop() for server in servers]
    finally:
        for server in servers:
            server.kill()


def killed(server: WorkerServer, part: str) -> list[Process]:
    """Kill the process below dev.py that has *part* in its command; return all that ran."""
    assert server.process is not None
    started = descendants(server.process.pid)
    [found] = [process for process in started if part in process.command]
    os.kill(found.pid, signal.SIGKILL)
    return started


@pytest.mark.parametrize(
    ("part", "message"),
    [
        pytest.param("--socket-addr=entry=127.0.0.1:{port} ", "proxy", id="proxy"),
        pytest.param("keeper.py --remove ", "wrangler ended with status -9", id="keeper"),
    ],
)
def test_a_part_that_is_killed_ends_the_run(running: WorkerServer, part: str, message: str) -> None:
    """dev.py says what has happened and ends with status 1, and nothing is left running."""
    started = killed(running, part.format(port=running.port))
    assert running.process is not None
    running.process.wait(END_S)
    assert 1 == running.process.returncode
    assert message in running.tail().splitlines()[-1]
    assert [] == survivors(started)
    assert not is_listening(running.port)


def test_a_damaged_database_is_said_and_put_aside(run: WorkerServer, tmp_path: Path) -> None:
    """Garbage in D1's file ends the start with one line; --reset-state begins with an empty one."""
    if run.process is None:
        run.start()
    run.stop()
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    server = WorkerServer(tmp_path, upstream=nowhere)
    shutil.move(run.state, server.state)
    (file,) = database_files(server.state)
    for other in file.parent.glob(f"{file.name}-*"):
        # What was written last lies there, and may be all there is: SQLite would mend the file.
        other.unlink()
    file.write_bytes(b"garbage" * 1000)
    options = ["--port", str(server.port), "--state", str(server.state), "--upstream", nowhere]
    done = run_dev(*options)
    assert 1 == done.returncode
    assert f"dev.py: the database {file} is damaged" in done.stderr
    assert "--reset-state" in done.stderr
    assert "Ready on" not in done.stdout
    again = WorkerServer(tmp_path, upstream=nowhere, port=server.port, options=["--reset-state"])
    with again:
        assert "healthy" == again.client.get("/api/health").json()["status"]
    (kept,) = server.state.glob("reset-*/v3/d1/**/" + file.name)
    assert b"garbage" == kept.read_bytes()[:7]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_during_the_start_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    """A signal before the Worker answers ends what was started so far, with status 0."""
    server = WorkerServer(tmp_path)
    process = server.launch()
    try:
        until(lambda: descendants(process.pid), 300, what="first child")
        started = descendants(process.pid)
        os.kill(process.pid, number)
        process.wait(END_S)
    finally:
        server.kill()
    assert process.returncode == 0, server.tail()
    assert [] == survivors(started)
    assert server.ready_line not in server.log


def test_taken_port_is_named(tmp_path: Path) -> None:
    """One line says that the port is taken; nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_dev("--port", str(port), "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    assert done.stderr == f"dev.py: port {port} is taken; choose another with --port\n"
    assert "Ready on" not in done.stdout


class _Silent(BaseHTTPRequestHandler):
    """Answers every GET with what the server was given."""

    def do_GET(self) -> None:
        """Answer."""
        body = json.dumps({"status": "fine"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def foreign_server() -> Iterator[int]:
    """A web server that is not ours; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_foreign_server_on_the_port_is_not_taken_for_ours(
    foreign_server: int, tmp_path: Path
) -> None:
    """Another program that answers on the port never makes dev.py say that it is ready."""
    assert Client(f"http://127.0.0.1:{foreign_server}").get("/api/health").status == 200
    done = run_dev("--port", str(foreign_server), "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    assert "is taken" in done.stderr
    assert "Ready on" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--var", "no-equals"], "must be NAME=VALUE", id="var without ="),
        pytest.param(["--var", "1A=x"], "must be NAME=VALUE", id="var with a bad name"),
        pytest.param(["--port", "70000"], "from 0 to 65535", id="port out of range"),
        pytest.param(["--upstream", "ftp://x"], "http or https URL", id="upstream of another kind"),
        pytest.param(["--runtime", "mine"], "invalid choice", id="unknown runtime"),
        pytest.param(["--colour"], "unrecognized arguments", id="unknown option"),
    ],
)
def test_bad_option_is_one_line(arguments: list[str], message: str) -> None:
    """An option that makes no sense ends with status 2 and one line that says what is wrong."""
    done = run_dev(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.startswith("dev.py: ")
    assert done.stderr.count("\n") == 1


def test_state_in_an_impossible_place_is_one_line(tmp_path: Path) -> None:
    """A state folder that cannot be made ends with status 1 and a line that names it."""
    (tmp_path / "file").touch()
    done = run_dev("--port", "0", "--state", str(tmp_path / "file" / "state"))
    assert done.returncode == 1
    assert "dev.py: " in done.stderr
    assert str(tmp_path / "file") in done.stderr
