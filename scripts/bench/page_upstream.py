"""
An upstream for benchmarks in a process of its own, whose pages are made once and then only sent.

Usage: python3 page_upstream.py NAME=POINTSxDAYS...

Prints `Ready on http://127.0.0.1:PORT`. `POST /control?latency_ms=N` sets how long each answer
waits, and forgets the log; `GET /control` returns the log: targets of all requests, in order.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import parse_qsl

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / part) for part in ("tests", "scripts")]

from demo.items import point_item, site_item  # noqa: E402
from demo.messages import Request  # noqa: E402
from demo.protocol import Protocol, Site  # noqa: E402
from demo.sources import GridSource  # noqa: E402
from demo.traits import FAITHFUL  # noqa: E402
from fakes.upstream_series import GeneratedSeries  # noqa: E402

DAY_MS = 86_400_000
START_MS = 1_735_689_600_000
FAR_FUTURE_MS = 253_402_300_799_000
INTERVAL_MS = 300_000
TOKEN = "bench-token"  # noqa: S105 - guards nothing
# Bodies kept, so that the second request for a page costs its sending alone.
KEPT_BYTES_MAX = 3_000_000_000


def point_names(site: str, points: int) -> list[str]:
    """Return names as long as real ones."""
    return [
        f"{site}/10.9.{n // 200 + 1}.{n % 200 + 2}-{90_000 + n}/Level 01 VAV-{n // 8:03d}/"
        f"Zone Sensor {n:04d}.Temperature"
        for n in range(points)
    ]


class PageUpstream:
    """Answers from memory."""

    def __init__(self, shapes: dict[str, tuple[int, int]]) -> None:
        sites = {}
        for name, (points, days) in shapes.items():
            names = point_names(name, points)
            site = site_item(1, name, client="bench")
            items = [
                point_item(n, each, site, interval_s=INTERVAL_MS // 1000)
                for n, each in enumerate(names)
            ]
            source = GridSource(
                items,
                [GeneratedSeries(each, INTERVAL_MS, 2) for each in names],
                first_ms=START_MS,
                end_ms=START_MS + days * DAY_MS,
            )
            sites[name] = Site(site, source)
        self._protocol = Protocol(sites, token=TOKEN, traits=FAITHFUL, now_ms=lambda: FAR_FUTURE_MS)
        self._kept: dict[tuple[str, bytes], bytes] = {}
        self._kept_bytes = 0
        self._latency_ms = 0
        self._log: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *rest = head.decode().split("\r\n")
                method, target, _ = first.split(" ")
                lengths = [
                    each.partition(":")[2] for each in rest if "content-length" in each.lower()
                ]
                body = await reader.readexactly(int(lengths[0])) if lengths else b""
                writer.write(await self._answer(method, target, body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: str, target: str, body: bytes) -> bytes:
        path, _, query = target.partition("?")
        if path == "/control":
            if method == "POST":
                self._latency_ms = int(dict(parse_qsl(query))["latency_ms"])
                self._log.clear()
            return _http(200, json.dumps(self._log).encode())
        self._log.append(target)
        if self._latency_ms:
            await asyncio.sleep(self._latency_ms / 1000)
        found = self._kept.get((target, body))
        if found is None:
            headers = {"authorization": f"Bearer {TOKEN}"}
            reply = self._protocol.reply(
                Request(method, target, path, dict(parse_qsl(query)), headers, body)
            )
            found = _http(reply.status, reply.body)
            if self._kept_bytes + len(found) <= KEPT_BYTES_MAX:
                self._kept[target, body] = found
                self._kept_bytes += len(found)
        return found


def _http(status: int, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % (status, len(body))
    ) + body


async def main(arguments: list[str]) -> None:
    """Serve until a signal ends it."""
    shapes = {}
    for each in arguments:
        name, _, shape = each.partition("=")
        points, _, days = shape.partition("x")
        shapes[name] = int(points), int(days)
    server = await asyncio.start_server(PageUpstream(shapes).serve, "127.0.0.1", 0)
    sys.stdout.write(f"Ready on http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
