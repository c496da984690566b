"""
Reads the vars and secrets of the Worker's environment into the services' options.

All that is wrong is told at once, and no value that might be a secret is ever shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from building_vitals.access.options import AllowanceOptions
from building_vitals.access.origins import is_loopback
from building_vitals.answers.routing import RoutingOptions
from building_vitals.cache.options import SLIVER_BYTES, CacheOptions
from building_vitals.cache.refetch import MIN_REFETCH_S_MAX
from building_vitals.jobs.options import JobOptions
from building_vitals.upstream.ace.settings import CALLS, PAGE_SIZES, UpstreamSettings

AUTO = "auto"
AUTH_MODES = ("keys", "open")
UPSTREAM_URL = "https://flightdeck.aceiot.cloud/api"
# A value may stand under the wrong name: what could be a secret is not shown.
SHOWN_CHARACTERS = 24
# Vars of earlier releases, and what took their place: who set them meant something by it.
RETIRED_VARS = {"SETTLE_AFTER": "TRUST_RATIO, TRUST_MAX and LATENESS decide"}

ValueT = TypeVar("ValueT")

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_HIDDEN = re.compile(r"[^\x21-\x7e]", re.ASCII)


class Refusal(NamedTuple):
    """
    A var or secret that is not allowed.

    Attributes:
        name: Its name.
        allowed: What is: `must be from 1 to 900`. For strangers, too.
        got: The value as logs show it.
        meant: What may have been meant.
    """

    name: str
    allowed: str
    got: str
    meant: str = ""


class SettingsError(Exception):
    """
    Vars or secrets have values that are not allowed; the text is for the log.

    Attributes:
        refusals: All of them.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(
            "; ".join(f"{each.name} {each.allowed}: {each.got}{each.meant}" for each in refusals)
        )
        self.refusals = tuple(refusals)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, grouped by the service that takes them."""

    auth_mode: str
    open_hosts: frozenset[str]
    cors_origins: str
    allowance: AllowanceOptions
    upstream: UpstreamSettings
    upstream_requests_per_minute: int
    cache: CacheOptions
    routing: RoutingOptions
    jobs: JobOptions
    analytics_sample_rate: float
    shows_heap: bool


def read_settings(env: Any) -> Settings:
    """
    Return the settings in the Worker's environment.

    Raises:
        SettingsError: values are not allowed; all of them are named.
    """
    reader = _Reader(env)
    settings = Settings(
        auth_mode=reader.option("AUTH_MODE", AUTH_MODES),
        open_hosts=frozenset(reader.names("OPEN_HOSTS")),
        cors_origins=reader.text("CORS_ORIGINS", ""),
        allowance=AllowanceOptions(
            at_once=reader.integer("KEY_SAMPLES_AT_ONCE", 30_000_000, 0, 10**12),
            per_minute=reader.integer("KEY_SAMPLES_PER_MINUTE", 3_000_000, 1, 10**12),
        ),
        upstream=_upstream(reader),
        upstream_requests_per_minute=reader.integer(
            "UPSTREAM_REQUESTS_PER_MINUTE", 0, 0, 1_000_000
        ),
        cache=CacheOptions(
            default_ttl=reader.integer("DEFAULT_TTL", 3600, 1, 31_536_000),
            max_cache_age=reader.integer("MAX_CACHE_AGE", 2_592_000, 1, 315_360_000),
            # With 0, all would be fetched again for each request.
            trust_ratio=reader.number("TRUST_RATIO", 2.0, 0.1, 1000),
            trust_max=reader.integer("TRUST_MAX", 7_776_000, 1, 315_360_000),
            lateness=reader.integer_or_auto("LATENESS", 0, 86_400),
            stale_grace=reader.integer("STALE_GRACE", 86_400, 0, 31_536_000),
            compression=reader.choice("COMPRESSION", "true", ("true", "false"), str) == "true",
            sliver_bytes=reader.integer("SLIVER_BYTES", SLIVER_BYTES, 0, SLIVER_BYTES),
            lease_seconds=reader.integer("LEASE_SECONDS", 10, 1, 900),
            min_refetch=reader.integer("MIN_REFETCH", 5, 0, MIN_REFETCH_S_MAX),
        ),
        routing=_routing(reader),
        jobs=JobOptions(
            max_retries=reader.integer("MAX_RETRIES", 3, 0, 100),
            retry_delay=reader.integer("RETRY_DELAY", 1000, 0, 3_600_000),
            batch_size=reader.integer("BATCH_SIZE", 50, 1, 1000),
            max_active_jobs=reader.integer("MAX_ACTIVE_JOBS", 20, 1, 1_000_000),
            max_queued_samples=reader.integer("MAX_QUEUED_SAMPLES", 50_000_000, 1, 10**12),
            max_hourly_samples=reader.integer("MAX_HOURLY_SAMPLES", 500_000_000, 1, 10**12),
        ),
        analytics_sample_rate=reader.number("ANALYTICS_SAMPLE_RATE", 1.0, 0.0, 1.0),
        # Only local runs set it, so it is not in wrangler.toml.
        shows_heap=reader.text("DEV_METRICS", "") == "1",
    )
    for name, instead in RETIRED_VARS.items():
        reader.retired(name, instead)
    if reader.refusals:
        raise SettingsError(reader.refusals)
    return settings


def _upstream(reader: _Reader) -> UpstreamSettings:
    return UpstreamSettings(
        base_url=reader.address("ACE_API_URL", UPSTREAM_URL),
        token=reader.secret("ACE_API_TOKEN"),
        calls=reader.option("UPSTREAM_CALLS", CALLS),
        page_size=reader.choice("UPSTREAM_PAGE_SIZE", 50_000, PAGE_SIZES, _whole),
        page_timeout_ms=reader.integer("UPSTREAM_PAGE_TIMEOUT", 30_000, 100, 300_000),
        max_retries=reader.integer("UPSTREAM_MAX_RETRIES", 4, 0, 20),
        retry_delay_ms=reader.integer("UPSTREAM_RETRY_DELAY", 500, 1, 60_000),
    )


def _routing(reader: _Reader) -> RoutingOptions:
    routing = RoutingOptions(
        small_threshold=reader.integer("SMALL_THRESHOLD", 1000, 0, 1_000_000_000),
        large_threshold=reader.integer("LARGE_THRESHOLD", 100_000, 0, 1_000_000_000),
        direct_timeout=reader.integer("DIRECT_TIMEOUT", 30_000, 100, 600_000),
        cache_timeout=reader.integer("CACHE_TIMEOUT", 5000, 1, 600_000),
    )
    if routing.small_threshold > routing.large_threshold:
        reader.refuse(
            "SMALL_THRESHOLD",
            "must be at most LARGE_THRESHOLD",
            f"got {routing.small_threshold} and {routing.large_threshold}",
        )
    return routing


class _Reader:
    """
    Reads single values; an unset or empty one takes its default, and so does a refused one.

    Attributes:
        refusals: What is not allowed.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self.refusals: list[Refusal] = []

    def refuse(self, name: str, allowed: str, got: str, meant: str = "") -> None:
        """Note a value that is not allowed."""
        self.refusals.append(Refusal(name, allowed, got, meant))

    def text(self, name: str, default: str) -> str:
        """Return a var as text; numbers and booleans of wrangler.toml as they are written there."""
        value = getattr(self._env, name, None)
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str | int | float):
            return str(value)
        self.refuse(name, "must be text or a number", "got something else")
        return default

    def names(self, name: str) -> list[str]:
        """Return a list of names that are separated by commas, in lower case."""
        return [part.strip().lower() for part in self.text(name, "").split(",") if part.strip()]

    def secret(self, name: str) -> str | None:
        """Return a secret without blanks at its ends; None where there is none."""
        text = self.text(name, "").strip()
        if _HIDDEN.search(text):
            self.refuse(
                name,
                "must be of printable ASCII characters without blanks",
                f"got {len(text)} characters",
            )
            return None
        return text or None

    def address(self, name: str, default: str) -> str:
        """Return a base URL: of https, unless it is on this machine, and without credentials."""
        text = self.text(name, default).strip()
        problem = _problem_of(text)
        if problem is not None:
            # Not even its host is shown: no part of it is known to be harmless.
            self.refuse(name, problem, f"got {len(text)} characters")
            return default
        return text

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        return self._bounded(name, default, least, most, _whole)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number within bounds."""
        return self._bounded(name, default, least, most, _finite)

    def integer_or_auto(self, name: str, least: int, most: int) -> int | None:
        """Return a whole number within bounds, or None for `auto`, which is the default."""
        text = self.text(name, AUTO).strip()
        if text.lower() == AUTO:
            return None
        try:
            value = _whole(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            self.refuse(name, f"must be {AUTO} or from {least} to {most}", f"got {_shown(text)}")
            return None
        return value

    def retired(self, name: str, instead: str) -> None:
        """Refuse a var that is no longer read."""
        text = self.text(name, "")
        if text:
            self.refuse(name, f"must be removed: {instead} in its place", f"got {_shown(text)}")

    def _bounded(
        self, name: str, default: ValueT, least: Any, most: Any, read: Callable[[str], ValueT]
    ) -> ValueT:
        text = self.text(name, str(default))
        try:
            value: Any = read(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            self.refuse(name, f"must be from {least} to {most}", f"got {_shown(text)}")
            return default
        found: ValueT = value
        return found

    def option(self, name: str, allowed: tuple[ValueT, ...]) -> ValueT:
        """Return one of the allowed words; the first is the default."""
        return self.choice(name, allowed[0], allowed, lambda text: _found(text, allowed))

    def choice(
        self, name: str, default: ValueT, allowed: tuple[ValueT, ...], read: Callable[[str], ValueT]
    ) -> ValueT:
        """Return one of the allowed values."""
        text = self.text(name, str(default))
        try:
            value = read(text)
        except ValueError:
            value = None
        if value not in allowed:
            # As app.py says: few vars are misspelt.
            from building_vitals.nearest import nearest_parameter

            near = nearest_parameter(text.strip().lower(), [str(each) for each in allowed])
            meant = f", did you mean {near!r}?" if near else ""
            self.refuse(name, f"must be one of {allowed}", f"got {_shown(text)}", meant)
            return default
        return value


def _whole(text: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(text)
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _found(text: str, allowed: tuple[ValueT, ...]) -> ValueT:
    """Return the allowed value of this text, or raise ValueError."""
    return allowed[[str(each) for each in allowed].index(text)]


def _shown(text: str) -> str:
    """Return a value as the log shows it."""
    return repr(text) if len(text) <= SHOWN_CHARACTERS else f"a text of {len(text)} characters"


def _problem_of(address: str) -> str | None:
    """Return what an address must be and is not; None where it is as it must."""
    form = "must be an address like https://host/api"
    if "@" in address:
        return "must hold no user, no password and no @: the token is the secret ACE_API_TOKEN"
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return form
    if _HIDDEN.search(address) or not host or parts.scheme not in ("https", "http"):
        return form
    if parts.query or parts.fragment:
        return f"{form}, without a query"
    if parts.scheme == "http" and not is_loopback(host):
        return "must begin with https:// (http:// is for this machine alone)"
    return None
