"""Ways to set up the Worker: each start takes the next, in an order that the seed decides."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.haste import LATENESS_S
from chaos.oracle import Policy

# How long the Worker may believe a list of points: a point it does not know makes it look again.
RECHECK_MS = 60_000
TIMEOUT_MS = 12_000
COMMON: Mapping[str, str] = {
    "DEV_METRICS": "1",
    "DIRECT_TIMEOUT": str(TIMEOUT_MS),
    "LEASE_SECONDS": "10",
    "MIN_REFETCH": "5",
    "UPSTREAM_PAGE_TIMEOUT": "2500",
    "UPSTREAM_MAX_RETRIES": "2",
    "UPSTREAM_RETRY_DELAY": "20",
    "RETRY_DELAY": "200",
    "BATCH_SIZE": "4",
    "MAX_ACTIVE_JOBS": "100000",
    "MAX_QUEUED_SAMPLES": "1000000000000",
    "KEY_SAMPLES_AT_ONCE": "0",
}
PROFILES: Sequence[Mapping[str, str]] = (
    {
        **{"TRUST_RATIO": "2", "TRUST_MAX": "5", "LATENESS": str(LATENESS_S), "STALE_GRACE": "30"},
        **{"DEFAULT_TTL": "2", "MAX_CACHE_AGE": "120"},
        **{"UPSTREAM_CALLS": "auto", "UPSTREAM_PAGE_SIZE": "5000"},
    },
    {
        **{
            "TRUST_RATIO": "0.5",
            "TRUST_MAX": "20",
            "LATENESS": str(LATENESS_S),
            "STALE_GRACE": "600",
        },
        **{"DEFAULT_TTL": "1", "MAX_CACHE_AGE": "600"},
        **{"UPSTREAM_CALLS": "site", "UPSTREAM_PAGE_SIZE": "1000"},
    },
    {
        **{"TRUST_RATIO": "4", "TRUST_MAX": "86400", "LATENESS": "auto", "STALE_GRACE": "86400"},
        **{"DEFAULT_TTL": "5", "MAX_CACHE_AGE": "86400"},
        **{"UPSTREAM_CALLS": "points", "UPSTREAM_PAGE_SIZE": "50000"},
    },
)


@dataclass(frozen=True, slots=True)
class Profile:
    """The vars of one start, and what they allow."""

    variables: Mapping[str, str]
    policy: Policy


def profiles_of(seed: int) -> list[Profile]:
    """Return the profiles in the order of their use, which begins again at the end."""
    order = random.Random(f"{seed}/profiles").sample(PROFILES, len(PROFILES))
    return [Profile({**COMMON, **each}, policy_of(each)) for each in order]


def policy_of(variables: Mapping[str, str]) -> Policy:
    """Return what a Worker with these vars may show."""
    trust_max_ms, grace_ms, list_ms, unread_ms = (
        int(variables[name]) * 1000
        for name in ("TRUST_MAX", "STALE_GRACE", "DEFAULT_TTL", "MAX_CACHE_AGE")
    )
    return Policy(
        trust_ratio=float(variables["TRUST_RATIO"]),
        trust_max_ms=trust_max_ms,
        grace_ms=grace_ms,
        unread_ms=unread_ms,
        # What was fetched up to the present a moment ago is believed, whatever trust says.
        wait_ms=TIMEOUT_MS + 1000 * int(COMMON["MIN_REFETCH"]),
        list_ms=RECHECK_MS + max(list_ms, unread_ms),
    )
