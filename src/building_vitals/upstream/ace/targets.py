"""
The targets of upstream requests: paths, queries, bodies, and the points of each.

Separate because it is pure, and because one place then handles names with commas and the longest
address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from building_vitals.errors import UpstreamSiteUnknown
from building_vitals.instants import format_instant
from building_vitals.ranges import Range

# Bytes left in a request line for the cursor, whose length only the upstream knows.
CURSOR_LENGTH_RESERVED = 600

# The upstream may leave out the samples at the start of what it is asked for: it is asked for a
# little more.
START_MARGIN_MS = 1_000

# The list of sites. Without its last slash, the upstream answers with a redirect.
SITES_PATH = "/sites/"

# Characters of names that need no escape in a query.
_QUERY_SAFE = "/:"
# Characters of a base address that fetch leaves as they are; it escapes others, bytewise.
_PATH_SAFE = "/:@!$&'()*+,;=-._~%[]|^"


class Target(msgspec.Struct, frozen=True):
    """
    One request to the upstream.

    Attributes:
        method: GET or POST.
        path: Escaped, from its first slash; messages may show it.
        query: Escaped, without the question mark.
        body: JSON of a POST.
    """

    method: str
    path: str
    query: str = ""
    body: bytes | None = None

    def url(self, base_url: str) -> str:
        """Return the whole address."""
        address = base_url.rstrip("/") + self.path
        return f"{address}?{self.query}" if self.query else address

    def line_bytes(self, base_url: str) -> int:
        """Return the length of the request's first line: method, path, query and version."""
        base_path = quote(urlsplit(base_url).path.rstrip("/"), safe=_PATH_SAFE)
        target = f"{base_path}{self.path}?{self.query}" if self.query else base_path + self.path
        return len(f"{self.method} {target} HTTP/1.1")

    @property
    def site(self) -> str | None:
        """The site that the target asks about; None for a target of no site, or of all."""
        if not self.path.startswith(SITES_PATH):
            return None
        return unquote(self.path.removeprefix(SITES_PATH).partition("/")[0]) or None

    @property
    def has_samples(self) -> bool:
        """Whether the answer has samples, and so may be much larger than others."""
        return self.path.endswith(("timeseries", "timeseries/paginated"))


def site_path(site: str) -> str:
    """
    Return the path of a site; no character of the name can lead out of it.

    Raises:
        UpstreamSiteUnknown: the name is empty, `.` or `..`, which an address resolves to another
            path.
    """
    if site in ("", ".", ".."):
        raise UpstreamSiteUnknown(f"the upstream knows no site {site!r}")
    return f"{SITES_PATH}{quote(site, safe='')}"


def site_target(site: str) -> Target:
    """Return the target that tells whether a site exists."""
    return Target("GET", site_path(site))


def list_target(path: str, page: int, per_page: int) -> Target:
    """Return the target of one page of a list."""
    return Target("GET", path, f"page={page}&per_page={per_page}")


def pages_target(
    site: str, names: str | None, time_range: Range, *, page_size: int, cursor: str | None
) -> Target:
    """
    Return the target of one page of samples as they were collected.

    Args:
        site: Its name.
        names: Filter from `filters_of`; None asks for the whole site.
        time_range: The range.
        page_size: Samples per page.
        cursor: Of the page before; None for the first page.
    """
    query = f"{_range_query(time_range, is_raw=True)}&page_size={page_size}"
    if names is not None:
        query += f"&point_names={names}"
    if cursor is not None:
        query += f"&cursor={quote(cursor, safe='')}"
    return Target("GET", f"{site_path(site)}/timeseries/paginated", query)


def points_target(points: Sequence[str], time_range: Range) -> Target:
    """Return the target of all samples of some points at once, without pages."""
    body: dict[str, Any] = {"points": [{"name": point} for point in points]}
    query = _range_query(time_range, is_raw=False)
    return Target("POST", "/points/get_timeseries", query, msgspec.json.encode(body))


def fits_filter(point: str) -> bool:
    """
    Return whether a name can stand in a comma-separated list.

    The upstream splits at a comma, escaped or not, and may strip blanks at the ends.
    """
    return "," not in point and point == point.strip()


def filters_of(points: Iterable[str], length_max: int) -> list[tuple[str, list[str]]]:
    """
    Divide names among filters of a bounded length.

    Args:
        points: Names that fit a filter.
        length_max: Characters of an escaped filter; a longer name gets a filter of its own.

    Returns:
        Each filter, escaped, with the names in it, in the order of the points.
    """
    filters: list[tuple[str, list[str]]] = []
    escaped: list[str] = []
    names: list[str] = []
    length = -1
    for point in points:
        name = quote(point, safe=_QUERY_SAFE)
        if names and length + 1 + len(name) > length_max:
            filters.append((",".join(escaped), names))
            escaped, names, length = [], [], -1
        escaped.append(name)
        names.append(point)
        length += 1 + len(name)
    if names:
        filters.append((",".join(escaped), names))
    return filters


def filter_length_max(
    site: str, time_range: Range, *, base_url: str, page_size: int, line_max: int
) -> int:
    """
    Return the longest filter with which the first line of a request for any page keeps *line_max*.

    It is below 0 where even the request without a filter is too long.
    """
    bare = pages_target(site, "", time_range, page_size=page_size, cursor="")
    return line_max - bare.line_bytes(base_url) - CURSOR_LENGTH_RESERVED


def _range_query(time_range: Range, *, is_raw: bool) -> str:
    """Return the part of a query that all targets for samples share."""
    start = format_instant(time_range.start_ms - START_MARGIN_MS)
    query = f"start_time={start}&end_time={format_instant(time_range.end_ms)}"
    return f"{query}&raw_data=true" if is_raw else query
