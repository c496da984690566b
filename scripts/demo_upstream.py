#!/usr/bin/env python3
"""
Start the demo upstream: a building telemetry API with believable data that depends only on time.

Prints `Ready on http://127.0.0.1:PORT` when it answers; its calls lie below `/api`.
SIGINT or SIGTERM ends it. Needs nothing but the standard library.
"""

import argparse
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from threading import Event, Thread

from demo.messages import Reply, Request
from demo.meters import SITE, MeterFileError, meter_site
from demo.protocol import Protocol, Site
from demo.server import RateLimit, make_server, throttled
from demo.sites import SITES, SiteSpec, demo_site, even_site
from demo.traits import FAITHFUL, KIND, Traits

PORT_DEFAULT = 8790
PORT_MAX = 65_535
TOKEN_DEFAULT = "demo-token"  # noqa: S105 - guards nothing
INTERVAL_S_DEFAULT = 300
SITE_OPTION = re.compile(r"(?P<name>[\w.-]{2,})=(?P<points>[0-9]{1,9})(:(?P<interval>[0-9]{1,9}))?")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the options, or end with a message."""
    parser = argparse.ArgumentParser(
        prog="demo_upstream.py",
        description="Serves a building telemetry API with believable data until SIGINT or SIGTERM. "
        "It behaves like the real service unless an option makes it kinder.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=int, default=PORT_DEFAULT, help=f"default {PORT_DEFAULT}; 0 for a free one"
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("DEMO_UPSTREAM_TOKEN") or TOKEN_DEFAULT,
        help="bearer token clients must send; also in the environment, as DEMO_UPSTREAM_TOKEN",
    )
    parser.add_argument("--latency-ms", type=int, default=0, metavar="N", help="for every answer")
    parser.add_argument(
        "--ms-per-1000-samples", type=int, default=0, metavar="N",
        help="added for the samples of an answer; the real service takes 50 to 100",
    )  # fmt: skip
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests per minute")
    parser.add_argument(
        "--csv", type=Path, action="append", default=[], metavar="FILE",
        help=f"meter readings (.csv, .csv.gz) to serve as a point of the site '{SITE}'",
    )  # fmt: skip
    parser.add_argument(
        "--site", action="append", default=[], metavar="NAME=POINTS[:SECONDS]",
        help=f"adds a site whose points are all collected every {INTERVAL_S_DEFAULT} s, or as told",
    )  # fmt: skip
    _add_traits(parser)
    options = parser.parse_args(argv)
    if not 0 <= options.port <= PORT_MAX:
        parser.error(f"--port must be from 0 to {PORT_MAX}: {options.port}")
    for name in ("latency_ms", "ms_per_1000_samples"):
        if getattr(options, name) < 0:
            option = name.replace("_", "-")
            parser.error(f"--{option} must not be negative: {getattr(options, name)}")
    if options.rate_limit is not None and options.rate_limit < 1:
        parser.error(f"--rate-limit must be 1 or more: {options.rate_limit}")
    try:
        options.specs = [*SITES, *added_sites(options.site)]
    except ValueError as exc:
        parser.error(f"--site: {exc}")
    return options


def _add_traits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("traits", "The first value is the real service's.")
    group.add_argument(
        "--kind", action="store_true",
        help="all traits as version 1.0 of the Worker took them to be; others go before it",
    )  # fmt: skip
    for each in fields(Traits):
        group.add_argument(
            f"--{each.name.replace('_', '-')}",
            choices=each.metadata["values"],
            help=f"{each.metadata['about']} (--kind: {each.metadata['kinder']})",
        )


def chosen_traits(options: argparse.Namespace) -> Traits:
    """Return the traits that the options choose."""
    told = {each.name: getattr(options, each.name) for each in fields(Traits)}
    told = {name: value for name, value in told.items() if value is not None}
    return replace(KIND if options.kind else FAITHFUL, **told)


def added_sites(texts: list[str]) -> list[SiteSpec]:
    """
    Return the sites of NAME=POINTS[:SECONDS].

    Raises:
        ValueError: A text is malformed, a number is not allowed, or a name is taken.
    """
    specs: list[SiteSpec] = []
    for text in texts:
        match = SITE_OPTION.fullmatch(text)
        if match is None:
            raise ValueError(f"must be NAME=POINTS[:SECONDS]: {text}")
        name = match["name"]
        if name in {SITE, *(spec.name for spec in (*SITES, *specs))}:
            raise ValueError(f"name is taken: {name}")
        interval_s = int(match["interval"] or INTERVAL_S_DEFAULT)
        # One number is left for the meter files.
        number = len(SITES) + len(specs) + 2
        specs.append(even_site(number, name, int(match["points"]), interval_s))
    return specs


def demo_sites(specs: list[SiteSpec], csv_files: list[Path], traits: Traits) -> dict[str, Site]:
    """
    Return the demo sites by name, and the meter files' if there are any.

    Raises:
        MeterFileError: A file cannot be read.
    """
    sites = {spec.name: Site(*demo_site(spec, traits)) for spec in specs}
    if csv_files:
        sites[SITE] = Site(*meter_site(csv_files, number=len(SITES) + 1))
    return sites


def delayed(
    answer: Callable[[Request], Reply], latency_ms: int, ms_per_1000_samples: int
) -> Callable[[Request], Reply]:
    """Return *answer* with a delay that grows with what it holds."""

    def reply(request: Request) -> Reply:
        found = answer(request)
        time.sleep(latency_ms / 1000 + found.samples * ms_per_1000_samples / 1_000_000)
        return found

    return reply


def main() -> int:
    """Serve until a signal comes; return the exit status."""
    options = arguments()
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        traits = chosen_traits(options)
        answer: Callable[[Request], Reply] = Protocol(
            demo_sites(options.specs, options.csv, traits), token=options.token, traits=traits
        ).reply
        if options.latency_ms or options.ms_per_1000_samples:
            answer = delayed(answer, options.latency_ms, options.ms_per_1000_samples)
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
