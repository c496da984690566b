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
