"""The parts of the development scripts that need no Worker: children, locks, env files, output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from devtools.children import Children
from devtools.console import StepFailed
from devtools.crashes import Crashes, is_running, proxy_of
from devtools.envfile import format_line, write_env_file
from devtools.layout import DEFAULT_STATE, SCRIPTS
from devtools.local_run import example_path, page_path, start_upstream
from devtools.locks import file_lock
from devtools.options import parse_options
from devtools.servers import free_port
from devtools.signals import Stopped, StopSignals
from devtools.toolchain import Toolchain
from devtools.wrangler import LOCAL_FLAGS, Wrangler, shown_lines

DEADLINE_S = 20.0
SLEEPER = "import time; time.sleep(600)"
# Starts a second process in a session of its own, as programs do that mean to outlive their parent.
FAMILY = f"""
import subprocess, sys, time
escaped = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
print(escaped.pid, flush=True)
time.sleep(600)
"""


def exists(pid: int) -> bool:
    """Return whether a process runs (one that has ended but is not collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def wait_for_end(pid: int) -> bool:
    """Return whether the process ends before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while exists(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not exists(pid)


def first_line(path: Path) -> str:
    """Return the first whole line of a file that another process writes."""
    deadline = time.monotonic() + DEADLINE_S
    while "\n" not in (text := path.read_text()):
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.02)
    return text.partition("\n")[0]


def test_end_reaches_processes_in_other_sessions(tmp_path: Path) -> None:
    """Leaving the block ends a child and what it has started, in whatever session."""
    log = tmp_path / "log"
    with Children(StopSignals()) as children:
        command = [sys.executable, "-c", FAMILY]
        children.start(command, env=os.environ, log=log)
        escaped = int(first_line(log))
        assert exists(escaped)
    assert not exists(escaped)


def test_child_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    """SIGKILL of the process that started a child ends the child, and its folder is removed."""
    log, folder = tmp_path / "log", tmp_path / "run"
    folder.mkdir()
    owner = f"""
import os, sys, time
from pathlib import Path
from devtools.children import Children
from devtools.signals import StopSignals
with Children(StopSignals()) as children:
    command = [sys.executable, "-c", {FAMILY!r}]
    children.start(command, env=os.environ, remove=[Path({str(folder)!r})])
    time.sleep(600)
"""
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    with log.open("wb") as file:
        command = [sys.executable, "-c", owner]
        process = subprocess.Popen(command, env=env, stdout=file)  # noqa: S603 - the text above
    escaped = int(first_line(log))
    process.kill()
    process.wait()
    assert wait_for_end(escaped)
    deadline = time.monotonic() + DEADLINE_S
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not folder.exists()


def test_failed_step_shows_the_end_of_its_log() -> None:
    """A step that fails is an error with its status and its last lines."""
    script = "print('what went wrong'); raise SystemExit(3)"
    with Children(StopSignals()) as children, pytest.raises(StepFailed) as caught:
        children.run("test-step", [sys.executable, "-c", script], env=os.environ)
    assert "test-step failed with status 3" in str(caught.value)
    assert caught.value.tail == "what went wrong"


def test_unknown_program_is_a_failed_step() -> None:
    """A program that does not exist fails its step, and the log names it."""
    with Children(StopSignals()) as children, pytest.raises(StepFailed) as caught:
        children.run("test-step", ["/no/such/program"], env=os.environ)
    assert "/no/such/program: No such file" in caught.value.tail


def test_signal_is_put_off_while_held_and_raised_once() -> None:
    """A signal in a held block strikes at its end; a second one does nothing."""
    with StopSignals() as signals:
        with pytest.raises(Stopped), signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            is_alive_in_the_block = True
        os.kill(os.getpid(), signal.SIGINT)
    assert is_alive_in_the_block
    assert signals.requested


def test_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    """A second taker is refused after its time, and welcome once the first is done."""
    path = tmp_path / "lock"
    words = {"waiting": "waiting", "refusal": "still held"}
    with (
        file_lock(path, seconds=0, **words),
        pytest.raises(StepFailed, match="still held"),
        file_lock(path, seconds=0, **words),
    ):
        pass
    with file_lock(path, seconds=0, **words):
        pass


def test_lock_stays_with_a_child_that_holds_it(tmp_path: Path) -> None:
    """The lock is free only when the child that it was given to has ended."""
    path = tmp_path / "lock"
    words = {"waiting": "waiting", "refusal": "still held"}
    with Children(StopSignals()) as children:
        with file_lock(path, seconds=0, **words) as held:
            children.start([sys.executable, "-c", SLEEPER], env=os.environ, hold=[held])
        with pytest.raises(StepFailed, match="still held"), file_lock(path, seconds=0, **words):
            pass
    with file_lock(path, seconds=0, **words):
        pass


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("https://a.example/api", "X=https://a.example/api\n"),
        ("", "X=\n"),
        ("two words # one", "X='two words # one'\n"),
        ("it's", "X=`it's`\n"),
        ("a$HOME", "X='a\\$HOME'\n"),
    ],
)
def test_env_line_keeps_the_value(value: str, line: str) -> None:
    """A value is quoted so that dotenv neither cuts nor expands it."""
    assert format_line("X", value) == line


@pytest.mark.parametrize("value", ["'`\"", "ends with \\"])
def test_value_that_cannot_be_written_is_refused(value: str) -> None:
    """A value that the format has no way to write is an error, not another value."""
    with pytest.raises(StepFailed, match="--var X"):
        format_line("X", value)


def test_env_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Tokens go through this file: nobody else may read it."""
    path = tmp_path / "run.env"
    write_env_file(path, {"A": "1", "B": "two words"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "A=1\nB='two words'\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"[wrangler:info] Ready on http://127.0.0.1:8787\n", None),
        (b"[wrangler:info] Updated and ready on http://127.0.0.1:8787\n", None),
        (b"env.DB (building-vitals-db)     D1 Database   local\n", None),
        ("│ entry.py │ python │\n".encode(), None),
        (b'{"event": "request", "path": "/ready on http://x"}\n',) * 2,
        (b"env.X is missing\n",) * 2,
        (b"sent Bearer very-secret\n", b"sent Bearer ***\n"),
        (b"\n", None),
        ("⎔ Starting local server...\n".encode(), None),
        (
            b"\x1b[33m[\x1b[43;30mWARNING\x1b[43;33m]\x1b[0m \x1b[1mmind\x1b[0m\n",
            b"[WARNING] mind\n",
        ),
        (b"\x1b]8;;https://a.example\x07here\x1b]8;;\x1b\\\n", b"here\n"),
        (
            b"\x1b[33m[WARNING] \x1b[1mScheduled Workers are not automatically triggered during "
            b"local development.\x1b[0m\n",
            None,
        ),
        (b"  To manually trigger a scheduled event, run:\n", None),
        (b"[custom build] Running: node scripts/page/build.mjs\n", None),
        ("[wrangler:info] \N{SPARKLES} Parsed 2 valid header rules.\n".encode(), None),
        (b"[wrangler:info] GET /page/0a1b2c3d4e5f/main.js 200 OK (9ms)\n", None),
        (b"[wrangler:info] GET / 200 OK (9ms)\n", b"[wrangler:info] GET / 200 OK (9ms)\n"),
        (b'    curl "http://127.0.0.1:8787/cdn-cgi/local/scheduled"\n', None),
    ],
)
def test_output_filter(line: bytes, shown: bytes | None) -> None:
    """wrangler's own tables are dropped, the Worker's lines kept, secrets blotted out."""
    assert shown_lines(["very-secret"])(line) == shown


def test_keys_in_addresses_are_blotted_out() -> None:
    """wrangler writes a line for each request, and a client may put its key anywhere."""
    key = "bv_" + "aB3_-" * 8 + "xyz"
    for sent in (key, key.replace("_", "%5F")):
        line = f"[wrangler:info] GET /nope/{sent} 404 Not Found (2ms)\n".encode()
        assert b"[wrangler:info] GET /nope/bv_*** 404 Not Found (2ms)\n" == shown_lines([])(line)


@pytest.mark.parametrize("runtime", ["packed", "official"])
def test_local_flags_belong_to_the_packed_runtime(tmp_path: Path, runtime: str) -> None:
    """Cloudflare's own runtime is run as production is: without flags, without our workerd."""
    tools = Toolchain(Path("/t/python"), Path("/t/node"), Path("/t/wrangler"), Path("/t/workerd"))
    wrangler = Wrangler(tools, tmp_path, runtime)
    command = wrangler.dev(port=1, state=tmp_path, env_files=[])
    is_packed = runtime == "packed"
    assert [flag in command for flag in LOCAL_FLAGS] == [is_packed] * len(LOCAL_FLAGS)
    assert ("MINIFLARE_WORKERD_PATH" in wrangler.environment()) == is_packed


def test_each_run_has_an_inspector_port_of_its_own(tmp_path: Path) -> None:
    """Two runs that start at once do not meet at wrangler's usual port."""
    tools = Toolchain(Path("/t/python"), Path("/t/node"), Path("/t/wrangler"), Path("/t/workerd"))
    command = Wrangler(tools, tmp_path).dev(port=1, state=tmp_path, env_files=[])
    assert command[command.index("--inspector-port") + 1] == "0"


def test_wrangler_knows_nothing_of_its_user(tmp_path: Path) -> None:
    """Home and settings are the run's own; credentials in the environment are left out."""
    tools = Toolchain(Path("/t/python"), Path("/t/node"), Path("/t/wrangler"), Path("/t/workerd"))
    environment = Wrangler(tools, tmp_path).environment()
    own = ("HOME", "XDG_CONFIG_HOME", "TMPDIR", "WRANGLER_REGISTRY_PATH")
    assert [name for name in own if not environment[name].startswith(str(tmp_path))] == []
    assert "CLOUDFLARE_API_TOKEN" not in environment
    assert environment["WRANGLER_SEND_METRICS"] == "false"


def test_options_have_the_documented_defaults() -> None:
    """Without arguments: port 8787, the demo upstream, .dev/state, the packed runtime."""
    options = parse_options([])
    assert options.port == 8787
    assert options.upstream is None
    assert options.state == DEFAULT_STATE.resolve()
    assert options.variables == {}
    assert options.runtime == "packed"
    assert options.demo == ()


def test_options_for_the_demo_upstream_are_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is kept as it is, in order; without a demo upstream they are refused."""
    options = parse_options(["--demo=--latency-ms=3000", "--demo=--kind"])
    assert options.demo == ("--latency-ms=3000", "--kind")
    with pytest.raises(SystemExit):
        parse_options(["--demo=--kind", "--upstream", "http://h:1/api"])
    assert "--demo is for the demo upstream" in capsys.readouterr().err


def test_demo_upstream_gets_its_options() -> None:
    """It starts with the options that are passed on, and the example is of a point that it has."""
    tools = Toolchain(
        Path(sys.executable), Path("/t/node"), Path("/t/wrangler"), Path("/t/workerd")
    )
    options = parse_options(["--demo=--site=pier-9=3", "--demo=--times=z", "--demo=--empty=404"])
    with Children(StopSignals()) as children:
        url, token, child = start_upstream(options, tools, children)
        request = Request(  # noqa: S310 - a server of ours
            f"{url}/sites/pier-9/timeseries?start_time=2025-01-01&end_time=2025-01-01T00:04:00",
            headers={"Authorization": f"Bearer {token}"},
        )
        with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
            samples = json.load(answer)["point_samples"]
        example = example_path(url, str(token))

    assert child is not None
    assert {sample["time"] for sample in samples} == {"2025-01-01T00:00:00Z"}
    path, _, chart = example.partition("?")
    assert "/api/timeseries" == path
    assert [("site", "maple-office"), ("points", "maple-office/weather/temp")] == parse_qsl(chart)[
        :2
    ]
    assert {"start_time": "now-7d", "max_points": "500"}.items() <= dict(parse_qsl(chart)).items()


def test_the_token_is_taken_from_the_environment() -> None:
    """For a given upstream, not for the demo's; the option goes before it."""
    environ = {"ACE_API_TOKEN": "secret"}
    upstream = ["--upstream", "http://h:1/api"]
    assert "secret" == parse_options(upstream, environ).upstream_token
    assert "t" == parse_options([*upstream, "--upstream-token", "t"], environ).upstream_token
    assert parse_options([], environ).upstream_token is None


def test_options_take_every_argument(tmp_path: Path) -> None:
    """All options are read; of a variable given twice the last one counts, and = may be in it."""
    line = "--port 9000 --upstream http://h:1/api --upstream-token t --var A=1 --var A=b=c"
    options = parse_options([*line.split(), "--state", str(tmp_path), "--runtime", "official"])
    assert options.port == 9000
    assert options.upstream == "http://h:1/api"
    assert options.upstream_token == "t"
    assert options.variables == {"A": "b=c"}
    assert options.state == tmp_path
    assert options.runtime == "official"


def test_end_reaches_what_a_killed_keeper_has_left(tmp_path: Path) -> None:
    """A keeper that was killed ends nobody: its owner does it instead, and waits for no output."""
    script = """
import subprocess, sys, time
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(left.pid, flush=True)
time.sleep(600)
"""
    lines: list[bytes] = []
    with Children(StopSignals()) as children:
        child = children.start([sys.executable, "-c", script], env=os.environ, on_line=lines.append)
        deadline = time.monotonic() + DEADLINE_S
        while not lines:
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.02)
        left = int(lines[0])
        keeper = int(Path(f"/proc/{left}/stat").read_text().rpartition(") ")[2].split()[3])
        os.kill(keeper, signal.SIGKILL)
        assert -signal.SIGKILL == child.wait()
        assert not exists(left)


def test_crashes_are_noted_as_they_are_printed() -> None:
    """Each is told once, and the line goes on as it would without."""
    crashes = Crashes()
    show = crashes.noting(lambda line: line.upper())
    assert b"ALL IS WELL" == show(b"all is well")
    assert not crashes.is_new()
    line = b"[wrangler:warn] The Workers runtime crashed unexpectedly and is being restarted"
    assert line.upper() == show(line)
    assert crashes.is_new()
    assert not crashes.is_new()


def test_the_proxy_is_known_by_its_address() -> None:
    """Among all processes it is the one that was told to listen on the port."""
    port = free_port()
    assert proxy_of(port) is None
    address = f"--socket-addr=entry=127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-c", SLEEPER, address])  # noqa: S603 - our own program
    try:
        deadline = time.monotonic() + DEADLINE_S
        while (found := proxy_of(port)) is None:
            assert time.monotonic() < deadline, "the process was not found"
            time.sleep(0.02)
        assert process.pid == found
        assert is_running(found)
    finally:
        process.kill()
        process.wait()
    assert not is_running(found)


def test_the_page_is_shown_with_what_the_example_asks_for() -> None:
    """Where there is no example, the page as it begins."""
    example = "/api/timeseries?site=hq&points=hq%2Fzone+7&start_time=now-7d&max_points=500"
    assert "/?site=hq&p=hq%2Fzone+7&from=now-7d" == page_path(example)
    assert "/" == page_path("/api/health")
