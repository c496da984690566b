"""The operator's vars: defaults, bounds, and what is said of a value out of bounds."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from building_vitals.access.options import AllowanceOptions
from building_vitals.answers.routing import RoutingOptions
from building_vitals.cache.options import CacheOptions
from building_vitals.jobs.options import JobOptions
from building_vitals.settings import UPSTREAM_URL, Settings, SettingsError, read_settings
from building_vitals.upstream.ace.settings import CALLS, PAGE_SIZES, UpstreamSettings

# Each var with bounds: where its value goes, and the bounds.
BOUNDED: dict[str, tuple[str, float, float]] = {
    "UPSTREAM_PAGE_TIMEOUT": ("upstream.page_timeout_ms", 100, 300_000),
    "UPSTREAM_MAX_RETRIES": ("upstream.max_retries", 0, 20),
    "UPSTREAM_RETRY_DELAY": ("upstream.retry_delay_ms", 1, 60_000),
    "UPSTREAM_REQUESTS_PER_MINUTE": ("upstream_requests_per_minute", 0, 1_000_000),
    "KEY_SAMPLES_AT_ONCE": ("allowance.at_once", 0, 10**12),
    "KEY_SAMPLES_PER_MINUTE": ("allowance.per_minute", 1, 10**12),
    "DEFAULT_TTL": ("cache.default_ttl", 1, 31_536_000),
    "MAX_CACHE_AGE": ("cache.max_cache_age", 1, 315_360_000),
    "TRUST_RATIO": ("cache.trust_ratio", 0.1, 1000),
    "TRUST_MAX": ("cache.trust_max", 1, 315_360_000),
    "STALE_GRACE": ("cache.stale_grace", 0, 31_536_000),
    "SLIVER_BYTES": ("cache.sliver_bytes", 0, 8192),
    "LEASE_SECONDS": ("cache.lease_seconds", 1, 900),
    "MIN_REFETCH": ("cache.min_refetch", 0, 60),
    "SMALL_THRESHOLD": ("routing.small_threshold", 0, 1_000_000_000),
    "LARGE_THRESHOLD": ("routing.large_threshold", 0, 1_000_000_000),
    "DIRECT_TIMEOUT": ("routing.direct_timeout", 100, 600_000),
    "CACHE_TIMEOUT": ("routing.cache_timeout", 1, 600_000),
    "MAX_RETRIES": ("jobs.max_retries", 0, 100),
    "RETRY_DELAY": ("jobs.retry_delay", 0, 3_600_000),
    "BATCH_SIZE": ("jobs.batch_size", 1, 1000),
    "MAX_ACTIVE_JOBS": ("jobs.max_active_jobs", 1, 1_000_000),
    "MAX_QUEUED_SAMPLES": ("jobs.max_queued_samples", 1, 10**12),
    "MAX_HOURLY_SAMPLES": ("jobs.max_hourly_samples", 1, 10**12),
    "ANALYTICS_SAMPLE_RATE": ("analytics_sample_rate", 0.0, 1.0),
}


# What the other threshold must be, where one is at its bound.
BESIDE: dict[tuple[str, float], dict[str, str]] = {
    ("SMALL_THRESHOLD", 1_000_000_000): {"LARGE_THRESHOLD": "1000000000"},
    ("LARGE_THRESHOLD", 0): {"SMALL_THRESHOLD": "0"},
}


def read(**variables: Any) -> Settings:
    """Return the settings of an environment with these vars alone."""
    return read_settings(SimpleNamespace(**variables))


def refused(**variables: Any) -> list[str]:
    """Return what the log is told of each var that is refused."""
    with pytest.raises(SettingsError) as caught:
        read(**variables)
    return str(caught.value).split("; ")


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
    assert UpstreamSettings(base_url=UPSTREAM_URL, token=None) == settings.upstream
    assert AllowanceOptions() == settings.allowance
    assert frozenset() == settings.open_hosts


def test_what_is_empty_counts_as_unset() -> None:
    """A var without a value takes the default."""
    assert read() == read(AUTH_MODE="", DEFAULT_TTL="", ACE_API_TOKEN=" ", OPEN_HOSTS=" , ")


def test_numbers_need_no_quotes() -> None:
    """What wrangler.toml has as a number or as true counts as if it stood in quotes."""
    expected = read(DEFAULT_TTL="60", ANALYTICS_SAMPLE_RATE="0.5", COMPRESSION="false")
    assert expected == read(DEFAULT_TTL=60, ANALYTICS_SAMPLE_RATE=0.5, COMPRESSION=False)
    assert expected == read(DEFAULT_TTL=60.0, ANALYTICS_SAMPLE_RATE="5e-1", COMPRESSION=False)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SMALL_THRESHOLD", -5, "SMALL_THRESHOLD must be from 0 to 1000000000: got '-5'"),
        ("DEFAULT_TTL", 0, "DEFAULT_TTL must be from 1 to 31536000: got '0'"),
        ("MAX_CACHE_AGE", "0", "MAX_CACHE_AGE must be from 1 to 315360000: got '0'"),
        ("DEFAULT_TTL", 0.5, "DEFAULT_TTL must be from 1 to 31536000: got '0.5'"),
        ("DEFAULT_TTL", "1_000", "DEFAULT_TTL must be from 1 to 31536000: got '1_000'"),
        ("BATCH_SIZE", "\u0665", "BATCH_SIZE must be from 1 to 1000: got '\u0665'"),
        (
            "ANALYTICS_SAMPLE_RATE",
            "inf",
            "ANALYTICS_SAMPLE_RATE must be from 0.0 to 1.0: got 'inf'",
        ),
        ("MAX_RETRIES", {"a": 1}, "MAX_RETRIES must be text or a number: got something else"),
        (
            "AUTH_MODE",
            "opne",
            "AUTH_MODE must be one of ('keys', 'open'): got 'opne', did you mean 'open'?",
        ),
        (
            "AUTH_MODE",
            "Keys",
            "AUTH_MODE must be one of ('keys', 'open'): got 'Keys', did you mean 'keys'?",
        ),
    ],
)
def test_absurd_values_are_refused(name: str, value: Any, told: str) -> None:
    """Whether text or number, and with the word that was probably meant."""
    assert [told] == refused(**{name: value})


def test_the_thresholds_must_be_in_order() -> None:
    """Each alone is allowed; together they make no sense."""
    told = "SMALL_THRESHOLD must be at most LARGE_THRESHOLD: got 500 and 400"
    assert [told] == refused(SMALL_THRESHOLD="500", LARGE_THRESHOLD="400")
    assert 400 == read(SMALL_THRESHOLD="400", LARGE_THRESHOLD="400").routing.large_threshold


def test_all_that_is_wrong_is_told_at_once() -> None:
    """One error names every var, in the order of the settings."""
    told = refused(DEFAULT_TTL="abc", AUTH_MODE="none", ACE_API_URL="x", MAX_RETRIES=-1)
    assert ["AUTH_MODE", "ACE_API_URL", "DEFAULT_TTL", "MAX_RETRIES"] == [
        each.split()[0] for each in told
    ]


@pytest.mark.parametrize(
    "address",
    [
        "https://flightdeck.example/api",
        "https://flightdeck.example:8443/api/",
        "http://127.0.0.1:9001/api",
        "http://localhost/api",
        "http://[::1]:9001/api",
    ],
)
def test_addresses_that_are_taken(address: str) -> None:
    """Of https, or of this machine."""
    assert address == read(ACE_API_URL=address).upstream.base_url


CREDENTIALS = "must hold no user, no password and no @: the token is the secret ACE_API_TOKEN"
NO_ADDRESS = "must be an address like https://host/api"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://user:PASSWORD@host:bad/api", CREDENTIALS),
        ("https://user:PASSWORD@host/api", CREDENTIALS),
        ("https://PASSWORD@host/api", CREDENTIALS),
        ("https://host:bad/api", NO_ADDRESS),
        ("https://host:99999/api", NO_ADDRESS),
        ("ftp://host/api", NO_ADDRESS),
        ("host/api", NO_ADDRESS),
        ("https://", NO_ADDRESS),
        ("https://[::1/api", NO_ADDRESS),
        ("https://host/a b", NO_ADDRESS),
        ("https://host/api?token=PASSWORD", f"{NO_ADDRESS}, without a query"),
        (
            "http://flightdeck.example/api",
            "must begin with https:// (http:// is for this machine alone)",
        ),
        (
            "http://127.0.0.1.evil.example/api",
            "must begin with https:// (http:// is for this machine alone)",
        ),
    ],
)
def test_addresses_that_are_refused(address: str, allowed: str) -> None:
    """With the reason, and without the address: it may hold a password."""
    assert [f"ACE_API_URL {allowed}: got {len(address)} characters"] == refused(ACE_API_URL=address)


def test_tokens_are_never_shown() -> None:
    """A token that no header can carry is refused without a character of it; blanks are cut off."""
    told = "ACE_API_TOKEN must be of printable ASCII characters without blanks: got 11 characters"
    assert [told] == refused(ACE_API_TOKEN="pass\nPASSWORD"[:11])
    assert "sesame" == read(ACE_API_TOKEN="sesame\n").upstream.token


@pytest.mark.parametrize("name", BOUNDED)
def test_numbers_are_taken_up_to_their_bounds(name: str) -> None:
    """Both bounds are allowed, and land where they are used and nowhere else."""
    place, least, most = BOUNDED[name]
    for bound in (least, most):
        beside = BESIDE.get((name, bound), {})
        settings = read(**{name: str(bound), **beside})
        assert bound == at(settings, place)
        same = BOUNDED.keys() - {name, *beside}
        others = {other: at(settings, BOUNDED[other][0]) for other in same}
        assert {other: at(read(), BOUNDED[other][0]) for other in others} == others


@pytest.mark.parametrize("name", BOUNDED)
def test_numbers_beyond_their_bounds_are_named(name: str) -> None:
    """The message holds the var, its bounds and the value."""
    _, least, most = BOUNDED[name]
    for text in (str(least - 1), str(most + 1), "many", "1e", "nan"):
        assert [f"{name} must be from {least} to {most}: got {text!r}"] == refused(**{name: text})


@pytest.mark.parametrize(
    ("name", "allowed", "others", "place"),
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
def test_choices_are_closed(name: str, allowed: list[str], others: list[str], place: str) -> None:
    """Only what is listed is taken, and a refusal lists it."""
    assert len(allowed) == len({str(at(read(**{name: text}), place)) for text in allowed})
    for text in others:
        (told,) = refused(**{name: text})
        assert re.match(rf"{name} must be one of \(.+\): got '{text}'", told)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("", None), ("auto", None), (" AUTO ", None), ("0", 0), (90, 90), ("86400", 86_400)],
)
def test_lateness_is_learned_or_fixed(value: object, expected: int | None) -> None:
    """`auto` is the default; else it is a number of seconds, a day at most."""
    assert expected == read(LATENESS=value).cache.lateness
    freshness = read(LATENESS=value).cache.freshness()
    assert (expected is None, (60 if expected is None else expected) * 1000) == (
        freshness.is_learned,
        freshness.lateness_ms,
    )


@pytest.mark.parametrize("value", ["-1", "86401", "1.5", "automatic", True])
def test_lateness_of_other_kinds_is_refused(value: object) -> None:
    """The text names both that are allowed."""
    (told,) = refused(LATENESS=value)
    assert told.startswith("LATENESS must be auto or from 0 to 86400: got ")


@pytest.mark.parametrize("value", ["7200", 0, 7200.0])
def test_vars_of_earlier_releases_are_refused_by_the_names_of_their_successors(
    value: object,
) -> None:
    """They would be ignored, and who set them meant something by it."""
    told = refused(SETTLE_AFTER=value, TRUST_MAX="0")
    assert ["TRUST_MAX must be from 1 to 315360000: got '0'"] == told[:1]
    assert 2 == len(told)
    assert told[1].startswith(
        "SETTLE_AFTER must be removed: TRUST_RATIO, TRUST_MAX and LATENESS decide in its place: got"
    )


def test_long_values_are_not_shown() -> None:
    """A secret that was put into the wrong var does not come out, in whole or in part."""
    for name in ("AUTH_MODE", "UPSTREAM_CALLS", "DEFAULT_TTL"):
        (told,) = refused(**{name: "x" * 25})
        assert told.endswith(": got a text of 25 characters")


def test_every_option_of_the_services_can_be_set_or_is_named_here() -> None:
    """Nothing is left at its default because nobody reads its var."""
    options: dict[str, type[msgspec.Struct]] = {
        "cache": CacheOptions,
        "routing": RoutingOptions,
        "jobs": JobOptions,
        "allowance": AllowanceOptions,
    }
    known = {place for place, _, _ in BOUNDED.values()} | {
        "cache.compression",
        "cache.lateness",
        "routing.page_size",
        "jobs.result_bytes_min",
    }
    assert known >= {
        f"{part}.{field.name}"
        for part, kind in options.items()
        for field in msgspec.structs.fields(kind)
    }
