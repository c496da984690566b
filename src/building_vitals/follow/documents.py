"""What the API says of follows."""

from __future__ import annotations

from typing import Annotated

import msgspec

from building_vitals.cache.followed import FollowState
from building_vitals.fields import Count, IsoTime


class BackfillDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far all has been read from `since` to the last round."""

    progress: Annotated[int, msgspec.Meta(ge=0, le=100, description="100 when nothing remains.")]
    until: Annotated[
        IsoTime | None,
        msgspec.Meta(
            description="Down to when all is known, from the last round on; null before the first."
        ),
    ]
    eta_seconds: Annotated[
        Count | None, msgspec.Meta(description="At the pace seen; null while nobody knows.")
    ]


class FollowDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the following of a site goes."""

    state: FollowState
    lag_seconds: Annotated[
        Count,
        msgspec.Meta(
            description="Age of the end of the last round; before the first, how long it is "
            "awaited."
        ),
    ]
    newest_sample: IsoTime | None
    since: IsoTime
    every: str
    backfill: BackfillDocument
    pages_per_day: Annotated[
        Count,
        msgspec.Meta(
            description="Requests to the upstream that the last whole UTC day took; on the first "
            "day, those so far."
        ),
    ]
    samples_per_day: Annotated[Count, msgspec.Meta(description="Samples stored; of the same day.")]
    error: Annotated[
        str | None, msgspec.Meta(description="The last failure; null where nothing fails now.")
    ]


class FollowedSite(FollowDocument, frozen=True, kw_only=True, rename="camel"):
    """The same with its name."""

    site: str
