"""
The shapes of answers, as JSON Schema (2020-12).

Separate because the list of operations is read for the paths, and this for the fields.
"""

from __future__ import annotations

from typing import Any

from building_vitals.answers.question import ROUTES
from building_vitals.api import parameters as p
from building_vitals.api.openapi_schemas import Schema, ref, timeseries_body_schema
from building_vitals.jobs.model import JOB_STATUSES

CACHE_STATUSES = ("hit", "partial", "miss", "bypass", "stale")

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
MEASURE_OR_NULL: Schema = {"type": ["number", "null"], "minimum": 0}
TIME: Schema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}


def component_schemas(timeout_ms_max: int) -> dict[str, Schema]:
    """
    Return the document's schemas, by name.

    Args:
        timeout_ms_max: The longest time-out that may be asked for, milliseconds.
    """
    return {
        "TimeseriesRequest": timeseries_body_schema(timeout_ms_max),
        **_timeseries_schemas(),
        **_job_schemas(),
        **_operation_schemas(),
        **_stats_schemas(),
        **_failed_chunk_schemas(),
        **_failure_schemas(),
    }


def _object(
    properties: dict[str, Schema], *, optional: tuple[str, ...] = (), **more: Any
) -> Schema:
    """
    Return an object that has all of the properties but the optional ones; others may be added.
    """
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
        **more,
    }


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _timeseries_schemas() -> dict[str, Schema]:
    return {
        "Sample": {
            "type": "array",
            "prefixItems": [
                {"type": "integer", "description": "Epoch milliseconds."},
                {"type": ["number", "string", "boolean", "null"]},
            ],
            "items": False,
            "minItems": 2,
        },
        "PointSamples": _object(
            {"samples": _list_of(ref("Sample")), "count": COUNT, "error": TEXT_OR_NULL}
        ),
        "Meta": _object(
            {
                "requestId": TEXT,
                "site": TEXT,
                "startTime": TIME,
                "endTime": TIME,
                "routeType": {"enum": list(ROUTES)},
                "cacheHit": {"type": "boolean"},
                "cache": _object(
                    {
                        "status": {"enum": list(CACHE_STATUSES)},
                        "samplesFromCache": COUNT,
                        "samplesFetched": COUNT,
                        "upstreamRequests": COUNT,
                        "fetched": _list_of(
                            {
                                "type": "array",
                                "items": {"type": "integer"},
                                "minItems": 2,
                                "maxItems": 2,
                                "description": "Start and end of a merged range that was fetched.",
                            }
                        ),
                    }
                ),
                "estimatedSamples": COUNT,
                "samplesCount": COUNT,
                "duration": {"type": "number", "minimum": 0, "description": "Milliseconds."},
                "timestamp": TIME,
                "downsampled": {"const": True},
            },
            optional=("downsampled",),
        ),
        "TimeseriesAnswer": _object(
            {
                "data": {
                    "type": "object",
                    "additionalProperties": ref("PointSamples"),
                    "description": "Every requested point, in the order of the request.",
                },
                "_meta": ref("Meta"),
            }
        ),
    }


def _job_schemas() -> dict[str, Schema]:
    return {
        "QueuedAnswer": _object(
            {
                "status": {"const": "queued"},
                "jobId": TEXT,
                "message": TEXT,
                "statusUrl": TEXT,
                "pollInterval": {"type": "integer", "minimum": 1, "description": "Milliseconds."},
                "estimatedSamples": COUNT,
            }
        ),
        "Job": _object(
            {
                "jobId": TEXT,
                "status": {"enum": list(JOB_STATUSES)},
                "priority": {"enum": list(p.PRIORITIES)},
                "site": TEXT,
                "pointsCount": COUNT,
                "startTime": TIME,
                "endTime": TIME,
                "progress": {"type": "number", "minimum": 0, "maximum": 100},
                "totalChunks": COUNT,
                "completedChunks": COUNT,
                "createdAt": TIME,
                "startedAt": TIME_OR_NULL,
                "completedAt": TIME_OR_NULL,
                "failedAt": TIME_OR_NULL,
                "cancelledAt": TIME_OR_NULL,
                "estimatedSize": COUNT_OR_NULL,
                "samplesCount": COUNT_OR_NULL,
                "dataSize": COUNT_OR_NULL,
                "retryCount": COUNT,
                "error": TEXT_OR_NULL,
                "dataUrl": TEXT_OR_NULL | {"description": "Given once the job has completed."},
            },
            optional=("dataUrl",),
        ),
        "JobList": _object({"jobs": _list_of(ref("Job")), "nextCursor": TEXT_OR_NULL}),
        "Cancelled": _object({"success": {"const": True}, "message": TEXT}),
    }


def _operation_schemas() -> dict[str, Schema]:
    return {
        "Health": _object(
            {
                "status": {"enum": ["healthy", "degraded"]},
                "timestamp": TIME,
                "version": TEXT,
                "checks": {"type": "object"},
            }
        ),
        "CacheObjects": _object(
            {
                "objects": _list_of(
                    _object(
                        {
                            "key": TEXT,
                            "size": COUNT,
                            "uploaded": TIME,
                            "points": COUNT_OR_NULL,
                            "samples": COUNT_OR_NULL,
                        }
                    )
                ),
                "nextCursor": TEXT_OR_NULL,
            }
        ),
        "Purged": _object({"deleted": COUNT}),
        "MaintenanceRun": _object({"steps": _list_of(_object({"name": TEXT, "changed": COUNT}))}),
        "UpstreamList": _object(
            {
                "page": COUNT,
                "pages": COUNT,
                "per_page": COUNT,
                "total": COUNT,
                "items": _list_of(_object({"name": TEXT})),
            },
            description="A list of the upstream's, with the fields that it gives each item.",
        ),
    }


def _stats_schemas() -> dict[str, Schema]:
    return {
        "Stats": _object(
            {
                "cache": _object(
                    {
                        "totalObjects": COUNT,
                        "totalSize": COUNT,
                        "totalSizeMB": {"type": "number", "minimum": 0},
                        "oldestEntry": TIME_OR_NULL,
                        "newestEntry": TIME_OR_NULL,
                        "hitRate": MEASURE_OR_NULL,
                        "compressionRatio": MEASURE_OR_NULL,
                    }
                ),
                "jobs": _object(
                    dict.fromkeys(("total_jobs", "completed", "failed", "active"), COUNT)
                ),
                "requests": _list_of(
                    _object(
                        {
                            "route_type": TEXT,
                            "count": COUNT,
                            "avg_duration": MEASURE_OR_NULL,
                            "p95_duration": MEASURE_OR_NULL,
                            "cache_hits": COUNT,
                        }
                    )
                ),
                "upstream": _object(dict.fromkeys(("limit", "used", "current"), COUNT)),
                "timestamp": TIME,
            }
        ),
    }


def _failed_chunk_schemas() -> dict[str, Schema]:
    return {
        "FailedChunkStats": _object(
            {
                "dlq": _object(
                    {
                        "total": COUNT,
                        "last24h": COUNT,
                        "byClass": {"type": "object", "additionalProperties": COUNT},
                    }
                ),
                "timestamp": TIME,
            }
        ),
        "FailedChunks": _object(
            {
                "failures": _list_of(
                    _object(
                        {
                            "jobId": TEXT,
                            "site": TEXT,
                            "chunk": COUNT,
                            "class": TEXT,
                            "error": TEXT_OR_NULL,
                            "attempts": COUNT,
                            "failedAt": TIME,
                        }
                    )
                ),
                "count": COUNT,
            }
        ),
    }


def _failure_schemas() -> dict[str, Schema]:
    problem = {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "requestId": TEXT,
        "error": TEXT | {"description": "The same as `detail`, for older clients."},
    }
    errors = _list_of(_object({"field": TEXT, "message": TEXT})) | {
        "minItems": 1,
        "description": "All that is wrong.",
    }
    return {
        "Problem": _object(
            {**problem, "upstreamStatus": {"type": "integer"}}, optional=("upstreamStatus",)
        ),
        "InvalidRequest": _object({**problem, "errors": errors}),
    }
