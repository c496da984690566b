"""
The route table: every endpoint of the API in one row.

Dispatch, `Allow`, the OpenAPI document, the endpoints' names in the statistics and the README's
table follow from it. `GET /` is not in it: the platform serves the page's files.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import msgspec

from building_vitals.answers.formats.registry import CONTENT_TYPES
from building_vitals.api import admin_parameters as ap
from building_vitals.api import follows, jobs, me, operations, sites, timeseries
from building_vitals.api import interval_parameters as ip
from building_vitals.api import parameters as p
from building_vitals.api.documents import (
    CallerDocument,
    CancelAnswer,
    OpenapiDocument,
    PurgeAnswer,
    QueuedAnswer,
    TimeseriesAnswer,
)
from building_vitals.api.endpoint import JSON_TYPE, Answer, Endpoint, LateDocument, json_answer
from building_vitals.api.messages import Call, Reply
from building_vitals.api.router import Router
from building_vitals.follow.documents import FollowDocument
from building_vitals.jobs.documents import FailedChunks, FailureStats, JobDocument, JobList
from building_vitals.maintenance.health_documents import VERSION, Health
from building_vitals.maintenance.purge import CacheObjects
from building_vitals.maintenance.run import MaintenanceRun
from building_vitals.sites.directory import UpstreamList
from building_vitals.upstream.ace.report import UpstreamReport


async def read_openapi(call: Call) -> Reply:
    """Describe the API. Here because it describes the table."""
    return Reply(
        status=200,
        headers=[("Content-Type", JSON_TYPE), ("Cache-Control", "public, max-age=300")],
        body=_openapi(call.app.settings.routing.direct_timeout),
    )


@lru_cache(maxsize=1)
def _openapi(timeout_ms_max: int) -> bytes:
    # Here, as app.py says: it brings the schemas of all documents with it.
    from building_vitals.api.openapi import openapi_document

    document = openapi_document(ENDPOINTS, VERSION, timeout_ms_max=timeout_ms_max)
    return msgspec.json.encode(document)


_RANGE_OF_POINTS = (p.SITE, p.POINTS, p.POINT, p.START_TIME, p.END_TIME)
_BUCKETS = (ip.INTERVAL, ip.AGGREGATE, ip.TZ)
_TIMESERIES = (
    *_RANGE_OF_POINTS,
    *(p.ROUTE, p.FORMAT, p.PRIORITY, p.TIMEOUT, p.MAX_POINTS, *_BUCKETS),
    *(p.LAYOUT, p.WAIT, p.FRESH, p.USER_ID),
)
_UPSTREAM_FAILURES = (502, 504)

# Only JSON has a schema; CSV and NDJSON are text, MessagePack is bytes.
_SAMPLES_CONTENT: dict[str, Any] = {
    content_type.partition(";")[0]: str for content_type in CONTENT_TYPES.values()
} | {JSON_TYPE: TimeseriesAnswer, "application/msgpack": None}
_SAMPLES = Answer(
    "Samples of every requested point.",
    _SAMPLES_CONTENT,
    (
        *("X-Route-Type", "X-Cache-Hit", "X-Cache-Status", "X-Request-Duration"),
        *("Server-Timing", "ETag", "Content-Disposition"),
    ),
)
_SAMPLES_OF_REQUEST = replace(
    _SAMPLES,
    description="Samples of every requested point; after a wait, of the job that ended meanwhile.",
    headers=(*_SAMPLES.headers, "Preference-Applied"),
)
_NOT_MODIFIED = Answer("The client already has this answer.", headers=("ETag",))
_QUEUED = Answer(
    "The request became a job, or a job for it is active.",
    {JSON_TYPE: QueuedAnswer},
    ("Location", "Retry-After", "Preference-Applied"),
    {"job": {"operationId": "getJob", "parameters": {"id": "$response.body#/jobId"}}},
)
_owner = partial(Endpoint, role="owner", tag="jobs")
_admin = partial(Endpoint, role="admin", tag="operations")
_anybody = partial(Endpoint, role="anybody", tag="operations")
_JOB = json_answer("The job.", JobDocument)
_STATS = json_answer(
    "The statistics.", LateDocument("building_vitals.statistics.report", "StatsReport")
)
_FOLLOW = json_answer("The follow.", FollowDocument)
_HEALTH = json_answer("Health of the Worker and its bindings.", Health)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET /api/timeseries",
        timeseries.read_timeseries,
        role="reader",
        operation_id="getTimeseries",
        tag="timeseries",
        summary="Samples of a site's points in a range",
        query=_TIMESERIES,
        answers={200: _SAMPLES_OF_REQUEST, 202: _QUEUED, 304: _NOT_MODIFIED},
        failures=(404, 413, *_UPSTREAM_FAILURES),
    ),
    Endpoint(
        "POST /api/timeseries",
        timeseries.read_timeseries,
        role="reader",
        operation_id="postTimeseries",
        tag="timeseries",
        summary="Samples of more points than fit in an address",
        body=tuple(each for each in _TIMESERIES if each is not p.POINT),
        answers={200: _SAMPLES_OF_REQUEST, 202: _QUEUED},
        failures=(404, 408, 413, *_UPSTREAM_FAILURES),
    ),
    _owner(
        "GET /api/jobs",
        jobs.list_jobs,
        operation_id="listJobs",
        summary="Jobs of the API key, the newest first",
        query=(p.STATUS, p.SITE_FILTER, p.LIMIT, p.CURSOR),
        answers={200: json_answer("A page of jobs.", JobList)},
    ),
    _owner(
        "GET /api/jobs/{id}",
        jobs.read_job,
        operation_id="getJob",
        summary="Job status",
        answers={200: _JOB},
        failures=(404,),
    ),
    _owner(
        "DELETE /api/jobs/{id}",
        jobs.cancel_job,
        operation_id="cancelJob",
        summary="Cancel a job",
        answers={200: json_answer("The job is cancelled.", CancelAnswer)},
        failures=(404, 409),
    ),
    _owner(
        "GET /api/jobs/{id}/data",
        jobs.read_job_data,
        operation_id="getJobData",
        summary="Result of a completed job",
        query=(p.FORMAT, p.MAX_POINTS, p.LAYOUT, *_BUCKETS),
        answers={200: _SAMPLES, 304: _NOT_MODIFIED},
        failures=(404, 409, 410, 413, *_UPSTREAM_FAILURES),
    ),
    _owner(
        "GET /api/jobs/{id}/events",
        jobs.follow_job,
        operation_id="watchJob",
        summary="Changes of a job as Server-Sent Events",
        # A stream of events is no text to hold against a schema.
        answers={
            200: Answer(
                "`progress` at each change, then `completed`, `failed` or `cancelled`, each with "
                "the job.",
                {"text/event-stream": None},
            )
        },
        failures=(404,),
    ),
    Endpoint(
        "GET /api/sites",
        sites.list_sites,
        role="reader",
        operation_id="listSites",
        tag="sites",
        summary="Sites that the API key may read",
        answers={200: json_answer("The upstream's list.", UpstreamList)},
        failures=_UPSTREAM_FAILURES,
    ),
    Endpoint(
        "GET /api/sites/{site}/points",
        sites.list_points,
        role="reader",
        operation_id="listPoints",
        tag="sites",
        summary="Points of a site",
        query=(p.SEARCH, p.PAGE, p.PER_PAGE),
        answers={200: json_answer("The upstream's list.", UpstreamList)},
        failures=(404, *_UPSTREAM_FAILURES),
    ),
    _admin(
        "PUT /api/sites/{site}/follow",
        follows.put_follow,
        operation_id="putFollow",
        summary="Have all samples of a site read all the time, or change how (admin)",
        body=(ap.SINCE, ap.EVERY),
        answers={200: _FOLLOW},
        failures=(404, 408, 413),
    ),
    _admin(
        "GET /api/sites/{site}/follow",
        follows.read_follow,
        operation_id="getFollow",
        summary="How the reading of a site goes (admin)",
        answers={200: _FOLLOW},
        failures=(404,),
    ),
    _admin(
        "DELETE /api/sites/{site}/follow",
        follows.end_follow,
        operation_id="endFollow",
        summary="Have a site read no longer, and drop what is stored (admin)",
        query=(ap.FORGET,),
        answers={200: json_answer("The site is no longer followed.", CancelAnswer)},
        failures=(404,),
    ),
    Endpoint(
        "GET /api/me",
        me.read_me,
        role="reader",
        operation_id="getMe",
        tag="sites",
        summary="The API key of the request, its rights and its limits",
        answers={200: json_answer("The caller.", CallerDocument)},
    ),
    _admin(
        "GET /api/stats",
        operations.read_statistics,
        operation_id="getStats",
        summary="Statistics of cache, jobs, requests and upstream quota (admin)",
        answers={200: _STATS},
    ),
    _admin(
        "GET /api/upstream",
        operations.read_upstream,
        operation_id="getUpstream",
        summary="What has been learned of the upstream, by site (admin)",
        answers={200: json_answer("The upstream and its sites.", UpstreamReport)},
    ),
    _admin(
        "GET /api/cache/objects",
        operations.list_cache_objects,
        operation_id="listCacheObjects",
        summary="Objects in the bucket (admin)",
        query=(ap.PREFIX, p.LIMIT, p.CURSOR),
        answers={200: json_answer("A page of objects.", CacheObjects)},
    ),
    _admin(
        "DELETE /api/cache",
        operations.purge_cache,
        operation_id="purgeCache",
        summary="Delete cached samples of a site, of some points, of a range (admin)",
        query=(p.SITE, p.POINTS, p.POINT, ap.PURGE_START_TIME, ap.PURGE_END_TIME),
        answers={200: json_answer("Number of deleted segments.", PurgeAnswer)},
        failures=(413,),
    ),
    _admin(
        "POST /api/maintenance/run",
        operations.run_maintenance,
        operation_id="runMaintenance",
        summary="Run the maintenance steps of the cron trigger (admin)",
        answers={200: json_answer("The steps and their effects.", MaintenanceRun)},
    ),
    _admin(
        "GET /api/queue/dlq/stats",
        operations.read_dlq_stats,
        operation_id="getFailureStats",
        summary="Number of failed chunks (admin)",
        answers={200: json_answer("The statistics.", FailureStats)},
    ),
    _admin(
        "GET /api/queue/dlq/failures",
        operations.list_dlq_failures,
        operation_id="listFailures",
        summary="Failed chunks (admin)",
        query=(p.LIMIT,),
        answers={200: json_answer("Failed chunks, the latest first.", FailedChunks)},
    ),
    _admin(
        "POST /api/queue/dlq/failures/{jobId}/retry",
        operations.retry_dlq_failure,
        operation_id="retryJob",
        summary="Retry a failed job (admin)",
        answers={202: json_answer("The job, queued again.", JobDocument)},
        failures=(404, 409),
    ),
    _anybody(
        "GET /api/health",
        operations.read_health,
        operation_id="getHealth",
        summary="Health of the Worker and its bindings",
        answers={200: _HEALTH, 503: _HEALTH},
    ),
    _anybody(
        "GET /openapi.json",
        read_openapi,
        operation_id="getOpenapi",
        summary="This document",
        answers={200: json_answer("The OpenAPI 3.1 document.", OpenapiDocument)},
    ),
)


ROUTER = Router(ENDPOINTS)
