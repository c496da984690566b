"""
Every parameter of the API, defined once: its type, its bounds, its purpose.

Separate because validation and the OpenAPI document must never disagree about a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from building_vitals.answers.formats.registry import FORMATS
from building_vitals.answers.question import LAYOUTS, ROUTES
from building_vitals.instants import DAY_MS, TooEarlyError, parse_instant
from building_vitals.jobs.model import JOB_STATUSES
from building_vitals.names import (
    LISTED_POINT_PATTERN,
    POINT_LENGTH_MAX,
    POINT_PATTERN,
    SITE_LENGTH_MAX,
    SITE_PATTERN,
    TEXT_CHARACTER,
)

Kind = Literal["text", "integer", "instant", "boolean"]
Value = str | int

POINTS_MAX = 5000
# Any twenty calendar years fit: at most five leap days lie in them.
RANGE_DAYS_MAX = 20 * 365 + 5
RANGE_MS_MAX = RANGE_DAYS_MAX * DAY_MS
BODY_BYTES_MAX = 1_048_576
PRIORITIES = ("low", "normal", "high")
BOOLEANS = ("true", "false")
TIMEOUT_MS_MAX = 30_000
WAIT_S_MAX = 60

_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A `+` that was not percent-encoded arrives as a blank: `2025-01-01T00:00:00 02:00`.
_BLANK_FOR_PLUS = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d[\d:.,]*) (\d\d:?(?:\d\d)?)", re.ASCII)
_SHOWN_CHARACTERS = 64


# Compared by identity: a tuple of parameters is part of the key of a look-up on each request.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameter:
    """
    One parameter: its allowed values, and how it is read.

    Attributes:
        name: As in a query and in a body.
        description: For the API's description.
        allowed: The allowed values, as error messages name them.
        kind: Text, integer, boolean, or instant (ISO 8601, epoch milliseconds, or from now).
        pattern: Regular expression for the whole text, alike in Python and ECMAScript.
        length_min, length_max: Of a text, in code points.
        minimum, maximum: Of an integer, included.
        choices: The allowed texts, where they can be listed.
        default: Taken where the parameter is not given; None for none.
        listing: How a query gives many values: separated by commas, or by repeating the name.
        example: For the API's description.
        is_required: Whether it must be given.
    """

    name: str
    description: str
    allowed: str
    kind: Kind = "text"
    pattern: str | None = None
    length_min: int = 0
    length_max: int = 512
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str, ...] = ()
    listing: Literal["commas", "repeated"] | None = None
    default: Value | None = None
    example: Value | None = None
    is_required: bool = False

    def read_text(self, text: str, now_ms: int | None = None) -> Value:
        """
        Return the value that the text of a query stands for.

        Args:
            text: Decoded.
            now_ms: The present, for times that count from it.

        Raises:
            ValueError: the text stands for no value; the message names the allowed ones.
            NowNeededError: it is a time that counts from the present, which is None.
        """
        if self.kind == "integer":
            if _INTEGER.fullmatch(text) is None:
                raise ValueError(f"not an integer: {shown(text)}; {self.allowed}")
            return self._check_integer(int(text))
        if self.kind == "boolean":
            if text not in BOOLEANS:
                raise ValueError(f"unknown: {shown(text)}; {self.allowed}")
            return text == "true"
        if self.kind == "instant":
            return self._read_instant(_BLANK_FOR_PLUS.sub(r"\1+\2", text), now_ms)
        return self._check_text(text)

    def read_json(self, value: object, now_ms: int | None = None) -> Value:
        """
        Return the value that a JSON value stands for.

        Args:
            value: Decoded.
            now_ms: The present, for times that count from it.

        Raises:
            ValueError: it stands for no value; the message names the allowed ones.
            NowNeededError: it is a time that counts from the present, which is None.
        """
        if isinstance(value, float) and value.is_integer():
            # JSON knows one kind of number: 5.0 is 5, for JSON Schema too.
            value = int(value)
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise ValueError(f"not a boolean: {shown(value)}; {self.allowed}")
            return value
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if self.kind == "integer":
            if not is_integer:
                raise ValueError(f"not an integer: {shown(value)}; {self.allowed}")
            return self._check_integer(value)  # type: ignore[arg-type]
        if self.kind == "instant" and (is_integer or isinstance(value, str)):
            return self._read_instant(value, now_ms)  # type: ignore[arg-type]
        if not isinstance(value, str):
            expected = "a time" if self.kind == "instant" else "a text"
            raise ValueError(f"not {expected}: {shown(value)}; {self.allowed}")
        return self._check_text(value)

    def _check_integer(self, value: int) -> int:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"out of bounds: {shown(value)}; {self.allowed}")
        return value

    def _read_instant(self, value: Value, now_ms: int | None) -> int:
        try:
            return parse_instant(value, now_ms)
        except ValueError as error:
            if isinstance(error, TooEarlyError):
                raise
            raise ValueError(f"not a time: {shown(value)}; {self.allowed}") from None

    def _check_text(self, text: str) -> str:
        if self.choices:
            if text not in self.choices:
                raise ValueError(f"unknown: {shown(text)}; {self.allowed}")
            return text
        if not self.length_min <= len(text) <= self.length_max:
            raise ValueError(f"{len(text)} characters: {shown(text)}; {self.allowed}")
        # Half of a pair is no character, and could be written in no answer.
        if _SURROGATE.search(text) or (
            self.pattern is not None and re.fullmatch(self.pattern, text) is None
        ):
            raise ValueError(f"not allowed: {shown(text)}; {self.allowed}")
        return text


def shown(value: object) -> str:
    """Return a value as messages show it: on one line, printable, and short."""
    if isinstance(value, str):
        return repr(value[:_SHOWN_CHARACTERS])
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None:
        return "null"
    text = str(value)[:_SHOWN_CHARACTERS]
    return text.lower() if isinstance(value, bool) else text


def one_of(choices: Sequence[str]) -> str:
    """Return the choices as error messages name them."""
    return f"{', '.join(choices[:-1])} or {choices[-1]} is allowed"


_TIME_ALLOWED = (
    "ISO 8601 (2025-01-01T00:00:00Z), epoch milliseconds, now or now-7d (s, m, h, d, w) are "
    "allowed, in the years 1 to 9999"
)

SITE = Parameter(
    name="site",
    description="Name of the site in the upstream.",
    allowed="1 to 128 of A-Z a-z 0-9 _ . - are allowed, the first a letter or digit",
    pattern=SITE_PATTERN,
    length_min=1,
    length_max=SITE_LENGTH_MAX,
    example="maple-office",
    is_required=True,
)
SITE_FILTER = replace(
    SITE, description="Lists jobs of this site only.", example=None, is_required=False
)
POINT = Parameter(
    name="point",
    description="One point's name, which may hold commas. Repeat it for more points.",
    allowed="1 to 512 characters are allowed, none of them a control character",
    pattern=POINT_PATTERN,
    length_min=1,
    length_max=POINT_LENGTH_MAX,
    listing="repeated",
    example="Zone Air Temperature, Wall Sensor",
)
POINTS = Parameter(
    name="points",
    description=(
        "Names of points, separated by commas; blanks around a name do not count. A repeated "
        f"name counts once. `points` and `point` name 1 to {POINTS_MAX:,} points together."
    ),
    allowed=f"1 to {POINTS_MAX:,} names of points are allowed, separated by commas",
    pattern=LISTED_POINT_PATTERN,
    length_max=POINT_LENGTH_MAX,
    listing="commas",
)
START_TIME = Parameter(
    name="start_time",
    description=(
        "Start of the range (included): ISO 8601 with `Z`, with an offset or with neither (UTC), "
        "epoch milliseconds since 1990, or `now`, `now-15m`, `now-7d` (s, m, h, d, w)."
    ),
    allowed=_TIME_ALLOWED,
    kind="instant",
    example="2025-01-01T00:00:00Z",
    is_required=True,
)
END_TIME = Parameter(
    name="end_time",
    description="End of the range (excluded), at most 20 years later; the present, if left out.",
    allowed=_TIME_ALLOWED,
    kind="instant",
    default="now",
    example="2025-01-02T00:00:00Z",
)
ROUTE = Parameter(
    name="route",
    description="Forces this route; by default the estimated samples that are not known decide.",
    allowed=one_of(ROUTES),
    choices=ROUTES,
)
FORMAT = Parameter(
    name="format",
    description="Format of the answer; by default the preferred one in `Accept`.",
    allowed=one_of(FORMATS),
    choices=FORMATS,
)
LAYOUT = Parameter(
    name="layout",
    description="Of CSV, which `wide` asks for: a row a sample, or a column a point.",
    allowed=one_of(LAYOUTS),
    choices=LAYOUTS,
)
PRIORITY = Parameter(
    name="priority",
    description="Priority of the job, if the request becomes one.",
    allowed=one_of(PRIORITIES),
    choices=PRIORITIES,
    default="normal",
)
MAX_POINTS = Parameter(
    name="max_points",
    description=(
        "Maximum number of samples per point. Peaks and changes of text stay visible: each "
        "bucket keeps its first, last, minimum and maximum sample and its changes of state, at "
        "the finest width of buckets that fits."
    ),
    allowed="2 to 100,000 are allowed",
    kind="integer",
    minimum=2,
    maximum=100_000,
)
FRESH = Parameter(
    name="fresh",
    description=(
        "On a followed site: whether what is younger than its last round is fetched now. By "
        "default that is left to the next round, and `_meta.cache.knownUntil` says how far it goes."
    ),
    allowed="true or false is allowed",
    kind="boolean",
    default=False,
)
WAIT = Parameter(
    name="wait",
    description=(
        "Seconds that a request which becomes a job is held, to be answered with its result if the "
        "job ends in time. `Prefer: wait=N` asks for the same."
    ),
    allowed=f"0 to {WAIT_S_MAX} seconds are allowed",
    kind="integer",
    minimum=0,
    maximum=WAIT_S_MAX,
)
USER_ID = Parameter(
    name="user_id",
    description="A label, stored with the job; it grants nothing.",
    allowed="1 to 128 characters are allowed, none of them a control character",
    pattern=f"{TEXT_CHARACTER}+",
    length_min=1,
    length_max=128,
)
LIMIT = Parameter(
    name="limit",
    description="Maximum number of entries per page.",
    allowed="1 to 1,000 are allowed",
    kind="integer",
    minimum=1,
    maximum=1000,
    default=100,
)
CURSOR = Parameter(
    name="cursor",
    description="`nextCursor` of the previous page; empty for the first page.",
    allowed="the nextCursor of a page is allowed, up to 2,048 characters",
    pattern=f"{TEXT_CHARACTER}*",
    length_max=2048,
)
STATUS = Parameter(
    name="status",
    description="Lists jobs in this state only.",
    allowed=one_of(JOB_STATUSES),
    choices=JOB_STATUSES,
)
SEARCH = Parameter(
    name="search",
    description=(
        "Lists only points that have all of these words in their name, unit or tags, in upper or "
        "lower case."
    ),
    allowed="up to 512 characters are allowed, none of them a control character",
    pattern=f"{TEXT_CHARACTER}*",
    length_max=512,
    default="",
)
PAGE = Parameter(
    name="page",
    description="Number of the page, counted from 1.",
    allowed="1 to 100,000 are allowed",
    kind="integer",
    minimum=1,
    maximum=100_000,
    default=1,
)
PER_PAGE = replace(
    LIMIT, name="per_page", maximum=POINTS_MAX, allowed=f"1 to {POINTS_MAX:,} are allowed"
)


def timeout_parameter(timeout_ms_max: int) -> Parameter:
    """
    Return the parameter `timeout` with the configured bound.

    Args:
        timeout_ms_max: The longest allowed time-out, milliseconds.
    """
    return Parameter(
        name="timeout",
        description="Maximum wait for the upstream, in milliseconds.",
        allowed=f"1 to {timeout_ms_max:,} milliseconds are allowed",
        kind="integer",
        minimum=1,
        maximum=timeout_ms_max,
    )


TIMEOUT = timeout_parameter(TIMEOUT_MS_MAX)
JOB_ID = Parameter(
    name="id",
    description="Id of the job.",
    allowed="1 to 128 of A-Z a-z 0-9 _ - are allowed",
    pattern="[A-Za-z0-9_-]{1,128}",
    length_min=1,
    length_max=128,
)
