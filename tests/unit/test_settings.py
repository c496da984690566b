"""The operator's vars: defaults, bounds, and what is said of a value out of bounds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from building_vitals.answers.routing import RoutingOptions
from building_vitals.cache.options import CacheOptions
from building_vitals.jobs.options import JobOptions
from building_vitals.settings import Settings, SettingsError, read_settings
from building_vitals.upstream.ace.settings import CALLS, PAGE_SIZES, UpstreamSettings

# Each var with bounds: where its value goes, and the bounds.
BOUNDED: dict[str, tuple[str, float, float]] = {
    "UPSTREAM_PAGE_TIMEOUT": ("upstream.page_timeout_ms", 100, 300_000),
    "UPSTREAM_MAX_RETRIES": ("upstream.max_retries", 0, 20),
    "UPSTREAM_RETRY_DELAY": ("upstream.retry_delay_ms", 1, 60_000),
    "UPSTREAM_REQUESTS_PER_MINUTE": ("upstream_requests_per_minute", 0, 1_000_000),
    "DEFAULT_TTL": ("cache.default_ttl", 0, 31_536_000),
    "MAX_CACHE_AGE": ("cache.max_cache_age", 0, 315_360_000),
    "SETTLE_AFTER": ("cache.settle_after", 0, 31_536_000),
    "STALE_GRACE": ("cache.stale_grace", 0, 31_536_000),
    "LEASE_SECONDS": ("cache.lease_seconds", 1, 900),
    "SMALL_THRESHOLD": ("routing.small_threshold", 0, 1_000_000_000),
    "LARGE_THRESHOLD": ("routing.large_threshold", 0, 1_000_000_000),
    "DIRECT_TIMEOUT": ("routing.direct_timeout", 100, 600_000),
    "CACHE_TIMEOUT": ("routing.cache_timeout", 1, 600_000),
    "MAX_RETRIES": ("jobs.max_retries", 0, 100),
    "RETRY_DELAY": ("jobs.retry_delay", 0, 3_600_000),
    "BATCH_SIZE": ("jobs.batch_size", 1, 1000),
    "MAX_ACTIVE_JOBS": ("jobs.max_active_jobs", 1, 1_000_000),
    "MAX_QUEUED_SAMPLES": ("jobs.max_queued_samples", 1, 10**12),
    "ANALYTICS_SAMPLE_RATE": ("analytics_sample_rate", 0.0, 1.0),
}


def read(**variables: Any) -> Settings:
    """Return the settings of an environment with these vars alone."""
    return read_settings(SimpleNamespace(**variables))


def at(settings: Settings, place: str) -> Any:
    """Return the setting at a dotted place."""
    found: Any = settings
    for name in place.split("."):
        found = getattr(found, name)
    return found


def test_defaults() -> None:
    """With nothing set, callers need keys, and each service has the options it has by itself."""
    settings = read()
    assert ("keys", "", 0, 1.0, False) == (
        settings.auth_mode,
        settings.cors_origins,
        settings.upstream_requests_per_minute,
        settings.analytics_sample_rate,
        settings.shows_heap,
    )
    assert CacheOptions() == settings.cache
    assert RoutingOptions() == settings.routing
    assert JobOptions() == settings.jobs
    assert UpstreamSettings(base_url="", token=None) == settings.upstream


def test_what_is_empty_or_no_text_counts_as_unset() -> None:
    """A var without a value, and a binding under its name, take the default."""
    assert read() == read(AUTH_MODE="", DEFAULT_TTL="", ACE_API_TOKEN="", CORS_ORIGINS=5)


@pytest.mark.parametrize("name", BOUNDED)
def test_numbers_are_taken_up_to_their_bounds(name: str) -> None:
    """Both bounds are allowed, and land where they are used and nowhere else."""
    place, least, most = BOUNDED[name]
    for bound in (least, most):
        settings = read(**{name: str(bound)})
        assert bound == at(settings, place)
        others = {other: at(settings, BOUNDED[other][0]) for other in BOUNDED if other != name}
        assert {other: at(read(), BOUNDED[other][0]) for other in others} == others


@pytest.mark.parametrize("name", BOUNDED)
def test_numbers_beyond_their_bounds_are_named(name: str) -> None:
    """The message holds the var, its bounds and the value."""
    _, least, most = BOUNDED[name]
    for text in (str(least - 1), str(most + 1), "many", "1e", "nan"):
        with pytest.raises(SettingsError) as caught:
            read(**{name: text})
        assert f"{name} must be from {least} to {most}: got {text!r}" == str(caught.value)


@pytest.mark.parametrize(
    ("name", "allowed", "refused", "place"),
    [
        ("AUTH_MODE", ["keys", "open"], ["Keys", "none", "open "], "auth_mode"),
        ("UPSTREAM_CALLS", [*CALLS], ["Auto", "point", "pages"], "upstream.calls"),
        ("COMPRESSION", ["true", "false"], ["yes", "True", "1"], "cache.compression"),
        (
            "UPSTREAM_PAGE_SIZE",
            [str(size) for size in PAGE_SIZES],
            ["0", "4", "50001", "fifty"],
            "upstream.page_size",
        ),
    ],
    ids=["the mode", "the calls", "compression", "the page"],
)
def test_choices_are_closed(name: str, allowed: list[str], refused: list[str], place: str) -> None:
    """Only what is listed is taken, and a refusal lists it."""
    assert len(allowed) == len({str(at(read(**{name: text}), place)) for text in allowed})
    for text in refused:
        with pytest.raises(SettingsError, match=rf"^{name} must be one of \(.+\): got '{text}'$"):
            read(**{name: text})


def test_long_values_are_cut_in_messages() -> None:
    """A secret put into the wrong var does not come out whole."""
    for name in ("AUTH_MODE", "UPSTREAM_CALLS", "DEFAULT_TTL"):
        with pytest.raises(SettingsError) as caught:
            read(**{name: "x" * 500})
        assert str(caught.value).endswith(f"got '{'x' * 40}'")


def test_every_option_of_the_services_can_be_set_or_is_named_here() -> None:
    """Nothing is left at its default because nobody reads its var."""
    options: dict[str, type[msgspec.Struct]] = {
        "cache": CacheOptions,
        "routing": RoutingOptions,
        "jobs": JobOptions,
    }
    known = {place for place, _, _ in BOUNDED.values()} | {
        "cache.compression",
        "routing.page_size",
        "jobs.result_bytes_min",
    }
    assert known >= {
        f"{part}.{field.name}"
        for part, kind in options.items()
        for field in msgspec.structs.fields(kind)
    }
