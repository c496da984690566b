"""The parameters that ask for aggregates of buckets instead of samples."""

from __future__ import annotations

from building_vitals.answers.question import AGGREGATES
from building_vitals.api.parameters import Parameter, one_of

INTERVAL = Parameter(
    name="interval",
    description=(
        "Answers with a row for each bucket of time instead of samples: a number and s, m, h, d, "
        "w, mo or y. Buckets are multiples of it on the clock of `tz`; weeks begin on Monday. "
        "Buckets without numbers are left out."
    ),
    allowed=(
        "a number and s, m, h, d, w, mo or y are allowed, such as 15m, 6h, 1d, 1w or 1mo, up to "
        "20 years"
    ),
    pattern="[1-9][0-9]{0,8}(?:s|m|h|d|w|mo|y)",
    length_min=2,
    length_max=11,
)
AGGREGATE = Parameter(
    name="aggregate",
    description=(
        "Of each bucket, in the order of a row; `mean` by default. `twa` is the time-weighted "
        "mean, where each number holds until the next one; `delta` is the increase of a counter, "
        "whose fall is a reset. Only numbers count. A repeated name counts once."
    ),
    allowed=one_of(AGGREGATES),
    choices=AGGREGATES,
    listing="commas",
)
TZ = Parameter(
    name="tz",
    description=(
        "Name of the time zone whose calendar and clock buckets follow, such as `Europe/Berlin`; "
        "`UTC` by default. Days may have 23 or 25 hours."
    ),
    allowed="the name of a time zone is allowed, such as UTC or Europe/Berlin",
    pattern="[A-Za-z0-9_+/-]+",
    length_min=1,
    length_max=64,
)
