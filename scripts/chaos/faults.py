"""
What is made to fail: warts of the upstream, and when a failure is explained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from fakes.upstream import ANY_CALL, TIMESERIES, FakeUpstream

# Of each wart that may fail requests: how often it strikes, and its options.
FAILING: Mapping[str, tuple[float, dict[str, Any]]] = {
    "429": (0.5, {"retry_after_s": 1}),
    "retry_after": (0.5, {"retry_after_s": 1, "form": "rfc850"}),
    "400": (0.5, {}),
    "401": (0.5, {}),
    "500": (0.7, {}),
    "502": (0.9, {}),
    "503": (1.0, {}),
    "504": (0.5, {}),
    "cut": (0.7, {}),
    "dies_large": (1.0, {"samples": 60}),
    "invalid_json": (0.7, {}),
    "invalid_utf8": (0.7, {}),
    "wrong_shape": (0.7, {}),
    "html": (0.7, {}),
    "html_502": (0.7, {}),
    "redirect": (0.7, {}),
    "echo": (0.7, {"form": "html"}),
    "reset": (0.7, {}),
    "hang": (0.3, {}),
    "slow": (0.5, {"delay_ms": 700}),
    "trickle": (0.5, {"pause_ms": 60}),
    "repeating_cursor": (0.7, {}),
    "cursor_cycle": (0.7, {}),
    "scroll_id": (1.0, {}),
    "no_cursor": (0.7, {}),
    "endless_empty_pages": (0.7, {}),
    "deep_value": (0.5, {}),
    "gzip_bomb": (0.3, {"bytes": 40_000_000}),
    "endless_body": (0.2, {}),
}
# Warts that no answer may show in any way: a failure while there are only these is unexplained.
HARMLESS: Mapping[str, tuple[float, dict[str, Any]]] = {
    "gzip": (1.0, {}),
    "empty_pages": (1.0, {}),
    "ignores_point_names": (1.0, {}),
    "unordered": (1.0, {}),
    "duplicates": (1.0, {}),
    "nan_literals": (1.0, {}),
    "outside_range": (1.0, {}),
    "time_formats": (1.0, {}),
    "bad_times": (1.0, {}),
    "null_fields": (1.0, {}),
}
# Those left out: 403 and 404 say that there is no such site, or nothing in the range, which a
# client may believe.
BELIEVED = {"403", "404"}
# Lists of points fail with these, too.
OF_LISTS = {"500", "503", "cut", "invalid_json", "reset", "slow", "429"}
# How long after its end a fault still explains a failure: requests wait for others that have
# failed, and what failed is not asked again at once.
LINGER_MS = 6_000
# After being told to wait, the Worker asks less for some seconds.
LINGER_QUOTA_MS = 14_000
QUOTA = {"429", "retry_after"}


@dataclass(slots=True)
class Window:
    """
    A stretch of time in which something is wrong.

    Attributes:
        site: Whose requests it explains; None for those of all.
        owner: The site with the fault.
        ended_ms: None while it lasts.
        explains: What may follow: `upstream` (502, 503, 504 and stale), `worker` (no answer),
            `database` (bypass, 503), `objects` (an answer that is cut).
    """

    kind: str
    site: str | None
    began_ms: int
    explains: str
    ended_ms: int | None = None
    linger_ms: int = LINGER_MS
    owner: str | None = None


class Windows:
    """All windows of a run."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._windows: list[Window] = []

    def open(
        self,
        kind: str,
        site: str | None,
        now_ms: int,
        explains: str,
        *,
        linger_ms: int = LINGER_MS,
        owner: str | None = None,
    ) -> Window:
        """Begin a window; see Window."""
        window = Window(kind, site, now_ms, explains, linger_ms=linger_ms, owner=owner)
        with self._lock:
            self._windows.append(window)
        return window

    def close(self, now_ms: int, *, kind: str | None = None, owner: str | None = None) -> None:
        """End the open windows of a kind or of an owner, or all of them."""
        with self._lock:
            for each in self._windows:
                is_meant = kind in (None, each.kind) and owner in (None, each.owner)
                if each.ended_ms is None and is_meant:
                    each.ended_ms = now_ms

    def explaining(
        self, explains: str, site: str | None, since_ms: int, until_ms: int
    ) -> list[Window]:
        """
        Return the windows that explain something between two moments.

        Args:
            explains: See Window.
            site: Of the request; windows of other sites do not count. None for any.
            since_ms: When the request began.
            until_ms: When it ended.
        """
        with self._lock:
            return [
                each
                for each in self._windows
                if each.explains == explains
                and (site is None or each.site is None or each.site == site)
                and each.began_ms <= until_ms
                and (each.ended_ms is None or each.ended_ms + each.linger_ms >= since_ms)
            ]


def begin(
    upstream: FakeUpstream, windows: Windows, kind: str, site: str, *, seed: int, now_ms: int
) -> None:
    """
    Let a wart strike a site's requests from now on.

    Args:
        upstream: The fake.
        windows: Told of it, where the wart may fail requests.
        kind: A key of FAILING or HARMLESS.
        site: Whose requests.
        seed: Which of the requests, where not all.
        now_ms: When.
    """
    is_failing = kind in FAILING
    probability, options = FAILING[kind] if is_failing else HARMLESS[kind]
    if is_failing:
        # The Worker has one quota for all sites.
        is_quota = kind in QUOTA
        windows.open(
            kind,
            None if is_quota else site,
            now_ms,
            "upstream",
            linger_ms=LINGER_QUOTA_MS if is_quota else LINGER_MS,
            owner=site,
        )
    on = ANY_CALL if kind in OF_LISTS and seed % 2 else TIMESERIES
    upstream.faults.rate(site, kind, probability, seed, on=on, **options)


def end(upstream: FakeUpstream, windows: Windows, site: str, now_ms: int) -> None:
    """End all warts of a site."""
    upstream.faults.clear(site)
    windows.close(now_ms, owner=site)
