"""Parameters that administrators alone have: purges, the bucket's objects, follows."""

from __future__ import annotations

from dataclasses import replace

from building_vitals.api.parameters import END_TIME, START_TIME, Parameter
from building_vitals.names import TEXT_CHARACTER

PURGE_START_TIME = replace(
    START_TIME,
    description="Start of the range (included); by default the beginning of time.",
    example=None,
    is_required=False,
)
PURGE_END_TIME = replace(
    END_TIME,
    description="End of the range (excluded); by default the end of time.",
    default=None,
    example=None,
)
PREFIX = Parameter(
    name="prefix",
    description="Lists only objects whose keys begin with this text.",
    allowed="up to 1,024 characters are allowed, none of them a control character",
    pattern=f"{TEXT_CHARACTER}*",
    length_max=1024,
    default="",
)
SINCE = replace(
    START_TIME,
    name="since",
    description=(
        "From when on all samples of the site are kept: a time of the last 20 years, as "
        "`start_time` is written."
    ),
    example="now-30d",
)
# A minute to a day in each unit.
_EVERY_PATTERN = (
    "([6-9][0-9]|[1-9][0-9]{2,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)s"
    "|([1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m|([1-9]|1[0-9]|2[0-4])h|1d"
)
EVERY = Parameter(
    name="every",
    description="Time between two rounds: `5m`, `1h` (s, m, h, d), a minute to a day.",
    allowed="a minute to a day is allowed, as 60s, 5m, 1h or 1d",
    pattern=_EVERY_PATTERN,
    length_min=2,
    length_max=6,
    default="5m",
    example="5m",
)
FORGET = Parameter(
    name="forget",
    description="Whether all that is stored of the site is dropped, too.",
    allowed="true or false is allowed",
    kind="boolean",
    default=False,
)
