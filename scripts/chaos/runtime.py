"""The Worker on workerd, killed and started again over the same state."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaos.haste import SHORTENED, fingerprint
from devtools.children import Child, Children
from devtools.layout import NODE_MODULES, ROOT
from devtools.memory_snapshot import MemorySnapshot
from devtools.servers import HOST, HealthCheck, free_port, start_server
from devtools.toolchain import Toolchain
from devtools.wrangler import Wrangler
from fakes.upstream import FakeUpstream
from integration.harness.state_files import opened

COMPATIBILITY_DATE = "2026-11-01"
START_SECONDS = 120
CONTROL_SECONDS = 20
SCRIPT = Path(__file__).with_name("runtime.mjs")


class Runtime:
    """
    The Worker, with sockets of its own: a client's reset reaches it.

    Args:
        children: Takes its processes.
        tools: The set-up.
        home: Empty folder of this run; its state and logs go there.
        upstream: Where it fetches.

    Attributes:
        port: Where it answers; the same after each start.
        state: Folder of R2 and D1.
        starts: How often it was started.
    """

    def __init__(
        self, children: Children, tools: Toolchain, home: Path, upstream: FakeUpstream
    ) -> None:
        self.port = free_port()
        self.state = home / "state"
        self.starts = 0
        self._children, self._tools, self._home, self._upstream = children, tools, home, upstream
        self._control_port = free_port()
        self._child: Child | None = None
        self._workerd = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    @property
    def logs(self) -> list[Path]:
        """What it printed, a file for each start."""
        return sorted(self._home.glob("worker-*.log"))

    def start(self, variables: Mapping[str, str]) -> None:
        """
        Start it and wait until it answers.

        Args:
            variables: Vars of the Worker.

        Raises:
            StepFailed: It does not start.
        """
        self.starts += 1
        ready, health = self._home / f"ready-{self.starts}", HealthCheck(self.port)
        options = {
            "root": str(ROOT),
            "ready": str(ready),
            "state": str(self.state / "v3"),
            "ports": {"front": free_port(), "app": self.port, "control": self._control_port},
            "compatibilityDate": COMPATIBILITY_DATE,
            "edits": SHORTENED,
            "vars": {
                "ACE_API_URL": self._upstream.url,
                "ACE_API_TOKEN": self._upstream.token,
                "AUTH_MODE": "open",
                **variables,
            },
        }
        environment = Wrangler(self._tools, self._home).environment()
        snapshot = MemorySnapshot(self._home, f"chaos-{fingerprint()}")
        self._child = start_server(
            self._children,
            [self._tools.node, "--no-warnings", SCRIPT, json.dumps(options)],
            name="the Worker's runtime",
            is_ready=lambda: ready.exists() and health(),
            seconds=START_SECONDS,
            env={**environment, **snapshot.environment(), "NODE_PATH": str(NODE_MODULES)},
            log=self._home / f"worker-{self.starts:03}.log",
        )
        snapshot.keep()
        self._workerd = int(ready.read_text() or "0")

    def kill(self) -> None:
        """Kill workerd with SIGKILL, in the middle of what it does, and end what ran it."""
        assert self._child is not None
        assert self._workerd
        with suppress(ProcessLookupError):
            os.kill(self._workerd, signal.SIGKILL)
        self._child.end()

    def stop(self) -> None:
        """End it in good order."""
        if self._child is not None:
            self._child.end()

    def is_alive(self) -> bool:
        """Return whether workerd still runs."""
        assert self._child is not None
        return self._child.ended() is None and Path(f"/proc/{self._workerd}").exists()

    def objects(self) -> list[str]:
        """Return the keys of all objects in the bucket, by name."""
        with opened(self.state, "_mf_objects") as database:
            rows = database.execute("SELECT key FROM _mf_objects ORDER BY key").fetchall()
        return [row[0] for row in rows]

    def act(self, action: str, **arguments: object) -> Any:
        """
        Change the state behind the Worker's back; see runtime.mjs.

        Raises:
            OSError: It could not be done.
        """
        connection = http.client.HTTPConnection(HOST, self._control_port, timeout=CONTROL_SECONDS)
        try:
            connection.request("POST", "/", json.dumps({"action": action, **arguments}))
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{action}: {error!r}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise OSError(f"{action}: {body.decode(errors='replace')}")
        return json.loads(body)
