"""
The options of the ACE client: address, token, page size, retries, limits.

Separate because the settings are read from the Worker's vars elsewhere; the client only uses them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# The page sizes that the upstream accepts.
PAGE_SIZES = (3, 10, 50, 100, 500, 1000, 5000, 10000, 50000, 100000, 300000, 500000)

CallsVar = Literal["auto", "points", "site"]
CALLS: tuple[CallsVar, ...] = ("auto", "points", "site")


class UpstreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The options of the client.

    Attributes:
        base_url: Address the paths are appended to, with or without a slash at its end.
        token: Sent as bearer token; None sends none. Left out of the repr.
        calls: Which calls fetch samples: `auto` for the cheaper ones, `points` for those by point,
            `site` for the pages of the whole site.
        page_size: Samples asked for in one page; one of the sizes the upstream takes.
        page_timeout_ms: Longest time for one page.
        max_retries: Times one page is asked for again before the fetch fails.
        retry_delay_ms: Longest wait before the first retry; doubles with each.
        retry_delay_max_ms: Where the doubling ends.
        max_in_flight: Most requests of one fetch at once.
        request_line_max: Bytes of a request's first line, method and version included: servers of
            the upstream's kind refuse longer ones. Longer lists of points go into several requests.
        page_bytes_max: Most bytes of an answer with samples, decompressed. 50,000 are 8 MB; they
            are in memory twice for a moment, of the isolate's 128 MB.
        list_bytes_max: Most bytes of any other answer; a list's page of 5,000 points is 8 MB, and
            several times that once decoded.
    """

    base_url: str
    token: str | None
    calls: CallsVar = "auto"
    page_size: int = 50_000
    page_timeout_ms: int = 30_000
    max_retries: int = 4
    retry_delay_ms: int = 500
    retry_delay_max_ms: int = 30_000
    max_in_flight: int = 4
    request_line_max: int = 4_094
    page_bytes_max: int = 16 * 1024 * 1024
    list_bytes_max: int = 16 * 1024 * 1024

    @property
    def authority(self) -> str:
        """Host and port of the address."""
        return self.base_url.partition("://")[2].partition("/")[0]

    def __repr__(self) -> str:
        """Name the address only: reprs end up in logs."""
        return f"UpstreamSettings(base_url={self.base_url!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Name the address only, like the repr."""
        return [("base_url", self.base_url)]
