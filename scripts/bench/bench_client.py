"""
Times the Python client on 1.1 million samples, on top of the download: medians.

Usage: python3 scripts/bench.py client [--rounds N]

A server of this process answers what the Worker would: 127 points over 30 days at 5 minutes, as
JSON in gzip. `download` reads the bytes and does nothing with them; the others ask with the client
and make something of the answer, and `on_top_s` is what that takes longer. `cpu_s` is the process's
own, the server's part of it included.
"""

from __future__ import annotations

import gzip
import json
import platform
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from building_vitals_client import Client, Timeseries
from fakes.scripted_api import Scripted, ScriptedApi

POINTS, DAYS, PER_DAY = 127, 30, 288
START_MS = 1_767_225_600_000
INTERVAL_MS = 300_000


def answer() -> Scripted:
    """Return an answer of 1,097,280 samples."""
    chance = random.Random(0)  # noqa: S311 - seeded, not secrets
    parts = []
    for number in range(POINTS):
        rows = ",".join(
            f"[{START_MS + n * INTERVAL_MS},{chance.uniform(10, 90):.2f}]"
            for n in range(DAYS * PER_DAY)
        )
        parts.append(
            f'"site/ahu-{number}/supply air":{{"samples":[{rows}],'
            f'"count":{DAYS * PER_DAY},"error":null}}'
        )
    text = f'{{"data":{{{",".join(parts)}}},"_meta":{{"cache":{{"status":"hit"}}}}}}'
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Scripted(200, headers, gzip.compress(text.encode()))


def download(url: str) -> int:
    """Return the bytes of the answer, read and dropped."""
    with httpx.stream("POST", f"{url}/api/timeseries", json={}) as response:
        return sum(map(len, response.iter_raw()))


def _ask(client: Client, work: Callable[[Timeseries], Any]) -> None:
    """Ask, and make something of the answer."""
    work(client.timeseries("s", "p", START_MS))


def median_of(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return the medians of the time and of the processor's time, in seconds."""
    wall, cpu = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return {
        "seconds": round(statistics.median(wall), 3),
        "cpu_s": round(statistics.median(cpu), 3),
    }


def main(rounds: int) -> None:
    """Print the machine, then a line per result."""
    works: dict[str, Callable[[Timeseries], Any]] = {
        "result": len,
        "pandas": lambda result: result.to_pandas(),
        "pandas_wide": lambda result: result.to_pandas("wide"),
        "polars": lambda result: result.to_polars(),
        "arrow": lambda result: result.to_arrow(),
        "samples": lambda result: result.samples,
    }
    print(json.dumps({"python": platform.python_version(), "machine": platform.machine()}))
    with ScriptedApi() as api, Client(api.url) as client:
        api.tell("POST /api/timeseries", answer())
        bare = median_of(lambda: download(api.url), rounds)
        print(json.dumps({"client": "download", **bare}))
        for name, work in works.items():
            found = median_of(partial(_ask, client, work), rounds)
            on_top_s = round(found["seconds"] - bare["seconds"], 3)
            print(json.dumps({"client": name, **found, "on_top_s": on_top_s}))
