"""The development command's line, checked before anything is started."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from devtools.layout import DEFAULT_STATE

DEFAULT_PORT = 8787
MAX_PORT = 65535
VAR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the user asked for.

    Attributes:
        port: Where the Worker answers; 0 for any free port.
        upstream: Base URL of the upstream, None for the demo upstream.
        upstream_token: Bearer token for it, None for none; from the environment unless given.
        state: Folder of R2, D1 and the queues.
        resets_state: Whether what is in it is put aside first.
        variables: Values for the Worker that go before those of wrangler.toml.
        runtime: "packed" (the bundle packed here) or "official" (downloaded from Cloudflare).
        demo: Options for the demo upstream.
    """

    port: int = DEFAULT_PORT
    upstream: str | None = None
    upstream_token: str | None = field(default=None, repr=False)
    state: Path = DEFAULT_STATE
    resets_state: bool = False
    variables: dict[str, str] = field(default_factory=dict, repr=False)
    runtime: str = "packed"
    demo: tuple[str, ...] = ()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def parse_options(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Return the options; ends the process with status 2 and one line when they make no sense."""
    parser = _Parser(
        prog="dev.py",
        description="Runs the Worker and a demo upstream on this machine.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="default 8787; 0 takes any free port"
    )
    parser.add_argument(
        "--upstream",
        type=_url,
        metavar="URL",
        help="upstream base URL; without it a demo upstream is started",
    )
    parser.add_argument(
        "--upstream-token",
        metavar="T",
        help="bearer token for the upstream; better in the environment, as ACE_API_TOKEN",
    )
    _add_state(parser)
    parser.add_argument(
        "--var",
        type=_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="sets one option of the Worker; may be repeated",
    )
    parser.add_argument(
        "--runtime",
        choices=("packed", "official"),
        default="packed",
        help="packed: from npm; official: Cloudflare's download",
    )
    parser.add_argument(
        "--demo",
        action="append",
        default=[],
        metavar="OPTION",
        help="passed to the demo upstream, as in --demo=--latency-ms=3000; may be repeated "
        "(scripts/demo_upstream.py --help lists its options)",
    )
    found = parser.parse_args(arguments)
    if found.demo and found.upstream is not None:
        parser.error("--demo is for the demo upstream, which --upstream replaces")
    return Options(
        port=found.port,
        upstream=found.upstream,
        upstream_token=found.upstream_token or _token_in(environ, found.upstream),
        state=found.state.expanduser().resolve(),
        resets_state=found.reset_state,
        variables=dict(found.var),
        runtime=found.runtime,
        demo=tuple(found.demo),
    )


def _add_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="DIR",
        help="where R2 and D1 are kept (default .dev/state)",
    )
    parser.add_argument(
        "--reset-state",
        action="store_true",
        help="puts what is kept there aside and begins with an empty state",
    )


def _token_in(environ: Mapping[str, str], upstream: str | None) -> str | None:
    """Return the token for a given upstream: a command line could be read by anybody."""
    return None if upstream is None else environ.get("ACE_API_TOKEN") or None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MAX_PORT}: got {text!r}")
    return int(text)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"must be an http or https URL: got {text!r}")
    return text


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not VAR_NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"must be NAME=VALUE with a name of letters, digits and _: got {text!r}"
        )
    if any(ord(char) < ord(" ") for char in value):
        raise argparse.ArgumentTypeError(f"a value may not hold control characters: {name}")
    return name, value
