"""The Worker, JavaScript Workers to compare it with, and an upstream: started for a benchmark."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.traits import FAITHFUL, Traits
from devtools.children import Children
from devtools.layout import NODE_MODULES, ROOT
from devtools.servers import HealthCheck, free_port, start_server
from devtools.signals import StopSignals
from devtools.toolchain import set_up
from devtools.wrangler import Wrangler
from fakes.upstream import FakeUpstream

COMPATIBILITY_DATE = "2026-11-01"
# With a seed of thousands of points.
START_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Stack:
    """
    What runs.

    Attributes:
        ports: Of each Worker: `app`, `bare`, `inflating`.
        upstream: Where the app fetches.
    """

    ports: Mapping[str, int]
    upstream: FakeUpstream


@contextmanager
def running(
    variables: Mapping[str, str] | None = None,
    *,
    traits: Traits = FAITHFUL,
    root: Path = ROOT,
    seed: Path | None = None,
    edits: Mapping[str, Mapping[str, str]] | None = None,
) -> Iterator[Stack]:
    """
    Run everything for as long as the block lasts.

    Args:
        variables: Of the Worker.
        traits: Of the upstream.
        root: Folder of the project that runs.
        edits: What is changed in the sources on their way into the runtime, by their path below
            `src`: texts that occur once, and what stands in their place.
        seed: Folder by `seeding.write_seed`: what the cache knows from the start.
    """
    with (
        FakeUpstream(traits=traits) as upstream,
        TemporaryDirectory() as home,
        Children(StopSignals()) as run,
    ):
        tools = set_up(run)
        ports = {name: free_port() for name in ("front", "app", "bare", "inflating")}
        ready, health = Path(home) / "ready", HealthCheck(ports["app"])
        options = {
            "root": str(root),
            "ready": str(ready),
            "seed": None if seed is None else str(seed),
            "ports": ports,
            "edits": edits or {},
            "compatibilityDate": COMPATIBILITY_DATE,
            "vars": {
                "ACE_API_URL": upstream.url,
                "ACE_API_TOKEN": upstream.token,
                "AUTH_MODE": "open",
                **(variables or {}),
            },
        }
        environment = Wrangler(tools, Path(home)).environment()
        script = Path(__file__).with_name("stack.mjs")
        start_server(
            run,
            [tools.node, "--no-warnings", script, json.dumps(options)],
            name="the Workers' runtime",
            is_ready=lambda: ready.exists() and health(),
            seconds=START_SECONDS,
            env={**environment, "NODE_PATH": str(NODE_MODULES)},
            # To a file: reading it would take time from the measurement.
            log=None if os.environ.get("BENCH_VERBOSE") else Path(home) / "workers.log",
        )
        yield Stack(ports, upstream)
