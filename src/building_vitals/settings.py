"""Reads the vars and secrets of the Worker's environment into the services' options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from building_vitals.answers.routing import RoutingOptions
from building_vitals.cache.options import CacheOptions
from building_vitals.jobs.options import JobOptions
from building_vitals.upstream.ace.settings import CALLS, PAGE_SIZES, UpstreamSettings

AUTH_MODES = ("keys", "open")

ValueT = TypeVar("ValueT")


class SettingsError(Exception):
    """A var has a value that is not allowed; the text names the var, the value and the range."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, grouped by the service that takes them."""

    auth_mode: str
    cors_origins: str
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
        SettingsError: a value is not allowed; the text names the var.
    """
    reader = _Reader(env)
    return Settings(
        auth_mode=reader.option("AUTH_MODE", AUTH_MODES),
        cors_origins=reader.text("CORS_ORIGINS", ""),
        upstream=UpstreamSettings(
            base_url=reader.text("ACE_API_URL", ""),
            token=reader.text("ACE_API_TOKEN", "") or None,
            calls=reader.option("UPSTREAM_CALLS", CALLS),
            page_size=reader.choice("UPSTREAM_PAGE_SIZE", 50_000, PAGE_SIZES, int),
            page_timeout_ms=reader.integer("UPSTREAM_PAGE_TIMEOUT", 30_000, 100, 300_000),
            max_retries=reader.integer("UPSTREAM_MAX_RETRIES", 4, 0, 20),
            retry_delay_ms=reader.integer("UPSTREAM_RETRY_DELAY", 500, 1, 60_000),
        ),
        upstream_requests_per_minute=reader.integer(
            "UPSTREAM_REQUESTS_PER_MINUTE", 0, 0, 1_000_000
        ),
        cache=CacheOptions(
            default_ttl=reader.integer("DEFAULT_TTL", 3600, 0, 31_536_000),
            max_cache_age=reader.integer("MAX_CACHE_AGE", 86_400, 0, 315_360_000),
            settle_after=reader.integer("SETTLE_AFTER", 7200, 0, 31_536_000),
            stale_grace=reader.integer("STALE_GRACE", 86_400, 0, 31_536_000),
            compression=reader.choice("COMPRESSION", "true", ("true", "false"), str) == "true",
            lease_seconds=reader.integer("LEASE_SECONDS", 30, 1, 900),
        ),
        routing=RoutingOptions(
            small_threshold=reader.integer("SMALL_THRESHOLD", 1000, 0, 1_000_000_000),
            large_threshold=reader.integer("LARGE_THRESHOLD", 100_000, 0, 1_000_000_000),
            direct_timeout=reader.integer("DIRECT_TIMEOUT", 30_000, 100, 600_000),
            cache_timeout=reader.integer("CACHE_TIMEOUT", 5000, 1, 600_000),
        ),
        jobs=JobOptions(
            max_retries=reader.integer("MAX_RETRIES", 3, 0, 100),
            retry_delay=reader.integer("RETRY_DELAY", 1000, 0, 3_600_000),
            batch_size=reader.integer("BATCH_SIZE", 50, 1, 1000),
            max_active_jobs=reader.integer("MAX_ACTIVE_JOBS", 20, 1, 1_000_000),
            max_queued_samples=reader.integer("MAX_QUEUED_SAMPLES", 50_000_000, 1, 10**12),
        ),
        analytics_sample_rate=reader.number("ANALYTICS_SAMPLE_RATE", 1.0, 0.0, 1.0),
        # Only local runs set it, so it is not in wrangler.toml.
        shows_heap=reader.text("DEV_METRICS", "") == "1",
    )


class _Reader:
    """Reads single values; an unset or empty one takes its default."""

    def __init__(self, env: Any) -> None:
        self._env = env

    def text(self, name: str, default: str) -> str:
        """Return a var as it is."""
        value = getattr(self._env, name, None)
        return value if isinstance(value, str) and value else default

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        return self._bounded(name, default, least, most, int)

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """Return a number within bounds."""
        return self._bounded(name, default, least, most, float)

    def _bounded(
        self, name: str, default: ValueT, least: Any, most: Any, read: Callable[[str], ValueT]
    ) -> ValueT:
        text = self.text(name, str(default))
        try:
            value: Any = read(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise SettingsError(f"{name} must be from {least} to {most}: got {text[:40]!r}")
        found: ValueT = value
        return found

    def option(self, name: str, allowed: tuple[ValueT, ...]) -> ValueT:
        """Return one of the allowed words; the first is the default."""
        text = self.text(name, str(allowed[0]))
        if text not in allowed:
            raise SettingsError(f"{name} must be one of {allowed}: got {text[:40]!r}")
        return allowed[allowed.index(text)]

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
            raise SettingsError(f"{name} must be one of {allowed}: got {text[:40]!r}")
        return value
