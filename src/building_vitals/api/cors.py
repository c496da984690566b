"""The other origins whose pages may call, and the security headers for browsers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

ANY_ORIGIN = "*"
ALLOWED_METHODS = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
ALLOWED_HEADERS = "Authorization, X-API-Key, Content-Type, If-None-Match, Accept, Prefer"
EXPOSED_HEADERS = (
    "X-Request-Id, X-Route-Type, X-Cache-Hit, X-Cache-Status, X-Request-Duration, "
    "Server-Timing, ETag, Retry-After, Location, Preference-Applied, Content-Disposition"
)
# Two hours, the most that Chromium honours.
PREFLIGHT_AGE_S = 7200

# For every answer of the Worker. None of them is a page, so nothing may run or be framed.
# Cross-Origin-Resource-Policy stops embedding without CORS; CORS requests are not its business.
SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

# For answers that came encrypted: browsers then ask for nothing else for a year.
HSTS_HEADER = ("Strict-Transport-Security", "max-age=31536000")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """
    The origins whose pages may call.

    Attributes:
        origins: In lower case, without a slash at the end.
        is_open: Whether every origin may.
    """

    origins: frozenset[str]
    is_open: bool


# The var is the same for as long as the isolate lives.
@lru_cache(maxsize=1)
def parse_policy(text: str) -> CorsPolicy:
    """
    Return the policy that the var CORS_ORIGINS stands for; never raises.

    Args:
        text: Origins separated by commas, `*` for all, empty for none but the Worker's own; an
            entry that is no origin allows none.
    """
    entries = [entry.strip().lower().removesuffix("/") for entry in text.split(",")]
    return CorsPolicy(
        origins=frozenset(entry for entry in entries if _ORIGIN.fullmatch(entry)),
        is_open=ANY_ORIGIN in entries,
    )


def is_allowed(policy: CorsPolicy, origin: str | None) -> bool:
    """Return whether the pages of an origin may call."""
    return origin is not None and (policy.is_open or origin.lower() in policy.origins)


def cors_headers(
    policy: CorsPolicy, origin: str | None, *, preflight: bool
) -> list[tuple[str, str]]:
    """
    Return the CORS headers of an answer; no credentials are ever allowed, keys travel in headers.

    Args:
        policy: The allowed origins.
        origin: The request's `Origin` header.
        preflight: Whether it answers an `OPTIONS`.
    """
    if policy.is_open:
        allowed, vary = ANY_ORIGIN, []
    elif policy.origins:
        # Also where the origin is not allowed: a cache must not give its answer to one that is.
        vary = [("Vary", "Origin")]
        if origin is None or not is_allowed(policy, origin):
            return vary
        allowed = origin
    else:
        return []
    headers = [("Access-Control-Allow-Origin", allowed), *vary]
    if preflight:
        return [
            *headers,
            ("Access-Control-Allow-Methods", ALLOWED_METHODS),
            ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
            ("Access-Control-Max-Age", str(PREFLIGHT_AGE_S)),
        ]
    return [*headers, ("Access-Control-Expose-Headers", EXPOSED_HEADERS)]
