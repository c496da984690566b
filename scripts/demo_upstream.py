#!/usr/bin/env python3
"""
Start the demo upstream: a building telemetry API with believable data that depends only on time.

Prints `Ready on http://127.0.0.1:PORT` when it answers; its calls lie below `/api`.
SIGINT or SIGTERM ends it. Needs nothing but the standard library.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

from demo.messages import Reply, Request
from demo.meters import SITE, MeterFileError, meter_site
from demo.protocol import Protocol, Site
from demo.server import RateLimit, make_server, throttled
from demo.sites import SITES, demo_site

PORT_DEFAULT = 8790
PORT_MAX = 65_535
TOKEN_DEFAULT = "demo-token"  # noqa: S105 - guards nothing


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options, or end with a message."""
    parser = argparse.ArgumentParser(
        prog="demo_upstream.py",
        description="Serves a building telemetry API with believable data until SIGINT or SIGTERM.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=int, default=PORT_DEFAULT, help=f"default {PORT_DEFAULT}; 0 for a free one"
    )
    parser.add_argument("--token", default=TOKEN_DEFAULT, help="bearer token clients must send")
    parser.add_argument("--latency-ms", type=int, default=0, help="added to every answer")
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests per minute")
    parser.add_argument(
        "--csv", type=Path, action="append", default=[], metavar="FILE",
        help=f"meter readings (.csv, .csv.gz) to serve as a point of the site '{SITE}'",
    )  # fmt: skip
    options = parser.parse_args(argv)
    if not 0 <= options.port <= PORT_MAX:
        parser.error(f"--port must be from 0 to {PORT_MAX}: {options.port}")
    if options.latency_ms < 0:
        parser.error(f"--latency-ms must not be negative: {options.latency_ms}")
    if options.rate_limit is not None and options.rate_limit < 1:
        parser.error(f"--rate-limit must be 1 or more: {options.rate_limit}")
    return options


def demo_sites(csv_files: list[Path]) -> dict[str, Site]:
    """
    Return the demo sites by name, and the meter files' if there are any.

    Raises:
        MeterFileError: A file cannot be read.
    """
    sites = {spec.name: Site(*demo_site(spec)) for spec in SITES}
    if csv_files:
        sites[SITE] = Site(*meter_site(csv_files, number=len(sites) + 1))
    return sites


def delayed(answer: Callable[[Request], Reply], latency_ms: int) -> Callable[[Request], Reply]:
    """Return *answer* with a delay."""

    def reply(request: Request) -> Reply:
        time.sleep(latency_ms / 1000)
        return answer(request)

    return reply


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    options = arguments()
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        answer: Callable[[Request], Reply] = Protocol(
            demo_sites(options.csv), token=options.token
        ).reply
        if options.latency_ms:
            answer = delayed(answer, options.latency_ms)
        if options.rate_limit:
            answer = throttled(answer, RateLimit(options.rate_limit))
        server = make_server(options.port, answer)
    except (MeterFileError, OSError) as exc:
        where = f"port {options.port}: " if isinstance(exc, OSError) else ""
        sys.stderr.write(f"demo upstream cannot start: {where}{exc}\n")
        return 1
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"Ready on http://127.0.0.1:{server.port}\n")
        sys.stdout.flush()
        stop.wait()
        server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
