"""API keys as the key command makes them: options checked, SQL written, rows shown."""

from __future__ import annotations

import argparse
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NoReturn

from building_vitals.access.api_keys import KEY_BYTES, KEY_PREFIX, ROLES, hash_key
from building_vitals.instants import parse_instant
from building_vitals.names import SITE_PATTERN
from devtools.layout import DEFAULT_STATE

DAY_MS = 86_400_000
NAME_MAX = 64
ALL_SITES = "*"
LIFETIME = re.compile(r"([1-9][0-9]{0,4})d", re.ASCII)
KEY_ID = re.compile(r"key_[0-9a-f]{16}", re.ASCII)
SHOWN = ("id", "name", "role", "sites", "created", "expires", "revoked", "last used")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """
    What the user asked for.

    Attributes:
        action: "create", "list" or "revoke".
        key_id: Of the key to revoke; None to go by *name*.
        name: A label; of several keys perhaps.
        role: "reader" or "admin".
        sites: Sites that the key may read; None for all.
        expires_ms: Epoch ms; None for never.
        is_remote: Whether the deployed Worker's database is meant.
        state: Folder of the local run's database.
    """

    action: str
    key_id: str | None = None
    name: str | None = None
    role: str = "reader"
    sites: tuple[str, ...] | None = None
    expires_ms: int | None = None
    is_remote: bool = False
    state: Path = DEFAULT_STATE


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def parse_key_options(arguments: Sequence[str], *, now_ms: int) -> KeyOptions:
    """Return the options; ends the process with status 2 and one line when they make no sense."""
    parser = _Parser(
        prog="api_key.py",
        description="Makes, lists and revokes the API keys of the Worker.",
        allow_abbrev=False,
    )
    parser.add_argument("action", choices=("create", "list", "revoke"))
    parser.add_argument("key_id", nargs="?", metavar="ID", type=_key_id, help="revoke: which key")
    parser.add_argument("--name", type=_name, help="a label; revoke: all keys of this name")
    parser.add_argument("--role", choices=ROLES, help="create: default reader")
    parser.add_argument(
        "--sites",
        type=_sites,
        metavar="A,B",
        help="create: sites that a reader may read, separated by commas; '*' for all",
    )
    parser.add_argument(
        "--expires",
        type=lambda text: _expiry(text, now_ms),
        metavar="WHEN",
        help="create: 2027-01-01T00:00:00Z, or 90d for days from now; default never",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true", help="the local run's database (default)")
    where.add_argument("--remote", action="store_true", help="the deployed Worker's database")
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE,
        metavar="DIR",
        help="where the local run keeps it (default .dev/state)",
    )
    found = parser.parse_args(arguments)
    _check_together(parser, found)
    return KeyOptions(
        action=found.action,
        key_id=found.key_id,
        name=found.name,
        role=found.role or "reader",
        sites=None if found.sites in (None, ALL_SITES) else found.sites,
        expires_ms=found.expires,
        is_remote=found.remote,
        state=found.state.expanduser().resolve(),
    )


def _check_together(parser: _Parser, found: argparse.Namespace) -> None:
    """Refuse options that make no sense together."""
    if found.action == "create":
        if found.key_id is not None:
            parser.error("create makes up the key's id: name none")
        if found.name is None:
            parser.error("create needs --name")
        if found.role == "admin":
            if found.sites not in (None, ALL_SITES):
                parser.error("an admin sees all sites: leave --sites out")
        elif found.sites is None:
            parser.error("a reader needs --sites: its sites, or '*' for all")
        return
    if any(value is not None for value in (found.role, found.sites, found.expires)):
        parser.error(f"{found.action} takes neither --role nor --sites nor --expires")
    if found.action == "list" and (found.key_id is not None or found.name is not None):
        parser.error("list takes neither an id nor --name")
    if found.action == "revoke" and (found.key_id is None) == (found.name is None):
        parser.error("revoke needs an id or --name, and not both")


def new_key() -> str:
    """Return a new key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def new_key_id() -> str:
    """Return a new key's identity; it is no secret."""
    return f"key_{secrets.token_hex(8)}"


def create_statement(options: KeyOptions, *, key_id: str, key: str, now_ms: int) -> str:
    """Return the SQL that stores a new key; it holds the key's hash and not the key."""
    sites = ALL_SITES if options.sites is None else json.dumps(options.sites)
    values = (key_id, options.name, hash_key(key), options.role, sites, now_ms, options.expires_ms)
    return (
        "INSERT INTO api_keys (key_id, name, key_hash, role, sites, created_ms, expires_ms) "  # noqa: S608 - literals only
        f"VALUES ({', '.join(map(literal, values))}) RETURNING key_id"
    )


def list_statement() -> str:
    """Return the SQL that reads all keys."""
    return (
        "SELECT key_id, name, role, sites, created_ms, expires_ms, revoked_ms, last_used_ms "
        "FROM api_keys ORDER BY created_ms, key_id"
    )


def revoke_statement(options: KeyOptions, *, now_ms: int) -> str:
    """Return the SQL that revokes keys which are not yet revoked."""
    column, value = ("key_id", options.key_id) if options.key_id else ("name", options.name)
    return (
        f"UPDATE api_keys SET revoked_ms = {literal(now_ms)} "  # noqa: S608 - literals only
        f"WHERE {column} = {literal(value)} AND revoked_ms IS NULL RETURNING key_id, name"
    )


def literal(value: str | int | None) -> str:
    """
    Return a value as SQL writes it: wrangler's command line has no bound parameters.

    A quote is doubled and nothing else means anything inside quotes, since control characters,
    NUL above all, have been refused before.
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if not value.isprintable():
        raise ValueError(f"not printable: {value!r}")
    return "'" + value.replace("'", "''") + "'"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the keys as lines of aligned columns; never a hash."""
    lines = [
        SHOWN,
        *(
            (
                str(row["key_id"]),
                str(row["name"]),
                str(row["role"]),
                _shown_sites(str(row["sites"])),
                *(_shown_ms(row[f"{name}_ms"]) for name in ("created", "expires", "revoked")),
                _shown_ms(row["last_used_ms"]),
            )
            for row in rows
        ),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(SHOWN))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _shown_sites(text: str) -> str:
    return text if text == ALL_SITES else ",".join(json.loads(text))


def _shown_ms(value: int | None) -> str:
    if value is None:
        return "-"
    moment = datetime.fromtimestamp(value // 1000, timezone.utc)  # noqa: UP017 - 3.10 starts it
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _key_id(text: str) -> str:
    if not KEY_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"must be a key's id, as list shows it: got {text!r}")
    return text


def _name(text: str) -> str:
    if not 1 <= len(text) <= NAME_MAX or not text.isprintable() or text != text.strip():
        raise argparse.ArgumentTypeError(
            f"must be 1 to {NAME_MAX} printable characters, no blank at either end: got {text!r}"
        )
    return text


def _sites(text: str) -> str | tuple[str, ...]:
    if text.strip() == ALL_SITES:
        return ALL_SITES
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if not re.fullmatch(SITE_PATTERN, name):
            raise argparse.ArgumentTypeError(f"is no site's name: {name!r}")
    return names


def _expiry(text: str, now_ms: int) -> int:
    days = LIFETIME.fullmatch(text)
    try:
        expires_ms = now_ms + int(days[1]) * DAY_MS if days else parse_instant(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be ISO 8601 or a number of days such as 90d: got {text!r}"
        ) from None
    if expires_ms <= now_ms:
        raise argparse.ArgumentTypeError(f"is past: {text!r}")
    return expires_ms
