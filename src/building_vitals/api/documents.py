"""
Documents of the API that belong to no room: what endpoints put together, and what is spliced.

`TimeseriesAnswer` and `PointSamples` only describe: answers with samples are spliced from stored
bytes, so nobody encodes them. The other documents stand with the services that return them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from building_vitals.answers.answer import AnswerMeta
from building_vitals.answers.question import AGGREGATES
from building_vitals.fields import Count

Sample = Annotated[
    list[float | str | bool | None],
    msgspec.Meta(
        description="Time and value; with `interval`, a bucket's begin and its aggregates, as "
        "`_meta.columns` names them.",
        min_length=2,
        max_length=1 + len(AGGREGATES),
        extra_json_schema={
            "prefixItems": [
                {"type": "integer", "description": "Epoch milliseconds."},
                {"type": ["number", "string", "boolean", "null"]},
            ]
        },
    ),
]


class PointSamples(msgspec.Struct):
    """Samples or buckets of one point, in ascending order."""

    samples: list[Sample]
    count: Count
    error: str | None
    level: Annotated[
        str | msgspec.UnsetType,
        msgspec.Meta(
            description="With `max_points`: how wide the buckets are that the samples stand for, "
            "as `15m`, `4h` or `7d`; `raw` where they are all there are."
        ),
    ] = msgspec.UNSET


class TimeseriesAnswer(msgspec.Struct):
    """Samples of every requested point, in the order of the request."""

    data: dict[str, PointSamples]
    meta: AnswerMeta = msgspec.field(name="_meta")


class QueuedAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The job that a request became."""

    status: Literal["queued"] = "queued"
    job_id: str
    message: str
    status_url: str
    poll_interval: Annotated[int, msgspec.Meta(ge=1, description="Milliseconds.")]
    estimated_samples: Count


class CancelAnswer(msgspec.Struct, frozen=True):
    """Confirmation that a job is cancelled."""

    success: Annotated[bool, msgspec.Meta(extra_json_schema={"const": True})]
    message: str


class PurgeAnswer(msgspec.Struct, frozen=True):
    """Number of deleted segments."""

    deleted: Count


class CallerLimits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one request may ask for, and what one key may have; null is any number."""

    points: Count
    days: Count
    body_bytes: Count
    timeout: Annotated[Count, msgspec.Meta(description="Milliseconds.")]
    wait: Annotated[Count, msgspec.Meta(description="Seconds.")]
    active_jobs: Count
    queued_samples: Annotated[Count, msgspec.Meta(description="Estimated samples of active jobs.")]
    hourly_samples: Annotated[
        Count, msgspec.Meta(description="Estimated samples of the jobs submitted in an hour.")
    ]
    fetched_at_once: Annotated[
        Count | None, msgspec.Meta(description="Estimated samples fetched from the upstream.")
    ]
    fetched_per_minute: Annotated[
        Count | None, msgspec.Meta(description="Those that each minute gives back.")
    ]


class CallerDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The API key of a request, and its rights."""

    key_id: Annotated[str, msgspec.Meta(description="Not the key itself; `open` without keys.")]
    role: Literal["reader", "admin"]
    sites: Annotated[
        Literal["*"] | list[str], msgspec.Meta(description="Sites that it may read; `*` for all.")
    ]
    limits: CallerLimits
    auth_mode: str


class OpenapiDocument(msgspec.Struct):
    """This description."""

    openapi: str
    paths: dict[str, Any]
