"""One local run of the Worker: upstream, database, wrangler, and when it really answers."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from devtools.children import Child, Children
from devtools.console import StepFailed, progress, say
from devtools.crashes import Crashes, is_running, proxy_of
from devtools.envfile import write_env_file
from devtools.layout import DEV_VARS, RUNS, SCRIPTS
from devtools.local_database import prepare_database
from devtools.local_state import check_state, reset_state
from devtools.locks import file_lock
from devtools.memory_snapshot import MemorySnapshot
from devtools.options import Options
from devtools.private import keep_private
from devtools.scratch import scratch_of
from devtools.servers import (
    HOST,
    HealthCheck,
    await_ready,
    claim_port,
    start_announced,
    start_server,
)
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler, shown_lines

READY_SECONDS = 180.0
# After the runtime has crashed: wrangler starts it again.
AGAIN_SECONDS = 120.0
UPSTREAM_SECONDS = 30.0
STATE_SECONDS = 30.0
EXAMPLE_SECONDS = 5.0
POLL_SECONDS = 0.1
DEMO_TOKEN = "demo-upstream-token"  # noqa: S105 - of a server that lives on this machine only
TOKEN_VARIABLE = "DEMO_UPSTREAM_TOKEN"  # noqa: S105 - a name
DEMO = "the demo upstream"


@contextmanager
def run_folder() -> Iterator[Path]:
    """Make a folder for one run, its `tmp` in memory if possible, and remove both afterwards."""
    RUNS.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=RUNS))
    try:
        with scratch_of(home):
            yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def serve(options: Options, tools: Toolchain, home: Path, children: Children) -> NoReturn:
    """
    Start everything, say that it is ready, and serve until a signal comes.

    Args:
        options: What the user asked for.
        tools: The set-up.
        home: Empty folder of this run.
        children: Takes all that is started.

    Raises:
        StepFailed: Something could not be started, or ended by itself.
    """
    keep_private(options.state)
    with file_lock(
        options.state / ".lock",
        waiting=f"{options.state} is in use by another run; waiting for its end",
        seconds=STATE_SECONDS,
        refusal=f"state folder is in use: {options.state}; choose another with --state",
    ) as state_lock:
        if options.resets_state:
            reset_state(options.state)
        check_state(options.state)
        port = claim_port(options.port)
        upstream, token, demo = start_upstream(options, tools, children)
        wrangler = Wrangler(tools, home, options.runtime)
        crashes = Crashes()
        prepare_database(wrangler, options.state, children, [state_lock])
        env_files = _env_files(options, upstream, token, home)
        snapshot = MemorySnapshot(home, f"wrangler, {options.runtime}")
        with progress("Worker: starting the Python runtime"):
            worker = start_server(
                children,
                wrangler.dev(port=port, state=options.state, env_files=env_files),
                name="wrangler",
                is_ready=HealthCheck(port),
                seconds=READY_SECONDS,
                env=wrangler.environment() | snapshot.environment(),
                on_line=crashes.noting(shown_lines([token] if token else [])),
                # This process may be killed; the token in this folder must not outlive the run.
                remove=[home, (home / "tmp").resolve()],
                hold=[state_lock],
            )
        snapshot.keep()
        address = f"http://{HOST}:{port}"
        say(f"Ready on {address}")
        example = example_path(upstream, token) if demo else "/api/health"
        say(f"Page: {address}{page_path(example)}")
        say(f"Try: curl --compressed '{address}{example}'")
        _until_end(worker, demo, crashes, port)


def page_path(example: str) -> str:
    """Return where the page shows what an example asks the API for."""
    asked = parse_qs(urlsplit(example).query)
    if "points" not in asked:
        return "/"
    view = {"site": asked["site"][0], "p": asked["points"][0], "from": asked["start_time"][0]}
    return f"/?{urlencode(view)}"


def start_upstream(
    options: Options, tools: Toolchain, children: Children
) -> tuple[str, str | None, Child | None]:
    """
    Return the upstream's base URL, its token and, when it is the demo's, its process.

    Args:
        options: What the user asked for.
        tools: The set-up.
        children: Takes the demo upstream.

    Raises:
        StepFailed: The demo upstream could not be started.
    """
    if options.upstream is not None:
        return options.upstream, options.upstream_token, None
    token = options.upstream_token or DEMO_TOKEN
    script = SCRIPTS / "demo_upstream.py"
    with progress("Demo upstream: starting"):
        demo, url = start_announced(
            children,
            [tools.python, "-u", script, "--port", "0", *options.demo],
            name=DEMO,
            seconds=UPSTREAM_SECONDS,
            # Every user of the machine can read a command line.
            env={**tools.environment(), TOKEN_VARIABLE: token},
            label=b"[upstream] ",
        )
    say(f"  it answers on {url}/api")
    return f"{url}/api", token, demo


def _env_files(options: Options, upstream: str, token: str | None, home: Path) -> list[Path]:
    """Write this run's values, which go before .dev.vars, which goes before wrangler.toml."""
    values = {"ACE_API_URL": upstream, "AUTH_MODE": "open"}
    if token is not None:
        values["ACE_API_TOKEN"] = token
    path = home / "run.env"
    write_env_file(path, values | options.variables)
    return [DEV_VARS, path] if DEV_VARS.is_file() else [path]


def _until_end(worker: Child, demo: Child | None, crashes: Crashes, port: int) -> NoReturn:
    proxy = proxy_of(port)
    while worker.ended() is None:
        if demo is not None and demo.ended() is not None:
            raise StepFailed(f"{DEMO} ended with status {demo.ended()}", demo.last_lines())
        if proxy is not None and not is_running(proxy):
            raise StepFailed("wrangler's proxy process was killed, and no request gets through")
        if crashes.is_new():
            await_ready(
                HealthCheck(port),
                ended=worker.ended,
                tail=worker.last_lines,
                name="the Worker's runtime crashed, and it",
                seconds=AGAIN_SECONDS,
            )
        time.sleep(POLL_SECONDS)
    raise StepFailed(f"wrangler ended with status {worker.wait()}", worker.last_lines())


def example_path(upstream: str, token: str | None) -> str:
    """Return the path of a week's chart of a point that the demo upstream really has."""
    try:
        site = _first_name(f"{upstream}/sites/?per_page=2", token)
        point = _first_name(
            f"{upstream}/sites/{quote(site, safe='')}/configured_points?per_page=2", token
        )
    except (OSError, ValueError, LookupError):
        return "/api/health"
    chart = {"site": site, "points": point, "start_time": "now-7d", "max_points": "500"}
    return f"/api/timeseries?{urlencode(chart)}"


def _first_name(url: str, token: str | None) -> str:
    request = Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - our own server
    with build_opener(ProxyHandler({})).open(request, timeout=EXAMPLE_SECONDS) as answer:
        return str(json.load(answer)["items"][0]["name"])
