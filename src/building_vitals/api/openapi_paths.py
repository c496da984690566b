"""Every path of the API: its operations, what they take and what they answer."""

from __future__ import annotations

from building_vitals.api import parameters as p
from building_vitals.api.openapi_parts import (
    JSON_TYPE,
    JsonObject,
    header_refs,
    if_none_match,
    job_id_schema,
    json_answer,
    not_modified,
    open_operation,
    operation,
    path_parameter,
    points_parameters,
    query_parameter,
    queued_answer,
    samples_answer,
)
from building_vitals.api.openapi_schemas import parameter_schema, ref

_UPSTREAM_FAILURES = (502, 504)


def paths(timeout_ms_max: int) -> JsonObject:
    """
    Return the document's paths.

    Args:
        timeout_ms_max: The longest time-out that may be asked for, milliseconds.
    """
    return {
        **_timeseries_paths(timeout_ms_max),
        **_job_paths(),
        **_site_paths(),
        **_operation_paths(),
        **_failed_chunk_paths(),
        **_open_paths(),
    }


def _timeseries_paths(timeout_ms_max: int) -> JsonObject:
    parameters = [
        p.ROUTE,
        p.FORMAT,
        p.PRIORITY,
        p.timeout_parameter(timeout_ms_max),
        p.MAX_POINTS,
        p.USER_ID,
    ]
    answers = {"200": samples_answer("The samples."), "202": queued_answer()}
    failures = (400, 404, 413, *_UPSTREAM_FAILURES)
    return {
        "/api/timeseries": {
            "get": operation(
                "getTimeseries",
                "timeseries",
                "Samples of points of a site in a range",
                {**answers, "304": not_modified()},
                failures,
                parameters=[
                    query_parameter(p.SITE),
                    *points_parameters(),
                    query_parameter(p.START_TIME),
                    query_parameter(p.END_TIME),
                    *map(query_parameter, parameters),
                    if_none_match(),
                ],
            ),
            "post": operation(
                "postTimeseries",
                "timeseries",
                "The same, for more points than fit in an address",
                answers,
                failures,
                requestBody={
                    "required": True,
                    "content": {JSON_TYPE: {"schema": ref("TimeseriesRequest")}},
                },
            ),
        }
    }


def _job_paths() -> JsonObject:
    tag = "jobs"
    job_id = path_parameter("id", "Job.", job_id_schema())
    job = json_answer("The job.", ref("Job"))
    listed = (p.STATUS, p.SITE_FILTER, p.LIMIT, p.CURSOR)
    # A stream of events is no text to hold against a schema.
    events: JsonObject = {"text/event-stream": {}}
    return {
        "/api/jobs": {
            "get": operation(
                "listJobs",
                tag,
                "The key's own jobs, the newest first",
                {"200": json_answer("A page of jobs.", ref("JobList"))},
                (400,),
                parameters=[query_parameter(each) for each in listed],
            )
        },
        "/api/jobs/{id}": {
            "parameters": [job_id],
            "get": operation("getJob", tag, "How far a job is", {"200": job}, (404,)),
            "delete": operation(
                "cancelJob",
                tag,
                "Cancel a job",
                {"200": json_answer("It is cancelled.", ref("Cancelled"))},
                (404, 409),
            ),
        },
        "/api/jobs/{id}/data": {
            "parameters": [job_id],
            "get": operation(
                "getJobData",
                tag,
                "The result of a completed job",
                {"200": samples_answer("The samples."), "304": not_modified()},
                (400, 404, 409, 410, *_UPSTREAM_FAILURES),
                parameters=[query_parameter(p.FORMAT), if_none_match()],
            ),
        },
        "/api/jobs/{id}/events": {
            "parameters": [job_id],
            "get": operation(
                "watchJob",
                tag,
                "A job's changes as Server-Sent Events",
                {
                    "200": {
                        "description": (
                            "`progress` at each change, then `completed`, `failed` or "
                            "`cancelled`, each with the job."
                        ),
                        "headers": header_refs("X-Request-Id"),
                        "content": events,
                    }
                },
                (404,),
            ),
        },
    }


def _site_paths() -> JsonObject:
    site = path_parameter(
        "site", p.SITE.description, parameter_schema(p.SITE), example=p.SITE.example
    )
    listed = json_answer("The upstream's list.", ref("UpstreamList"))
    return {
        "/api/sites": {
            "get": operation(
                "listSites",
                "sites",
                "The sites that the key may read",
                {"200": listed},
                _UPSTREAM_FAILURES,
            )
        },
        "/api/sites/{site}/points": {
            "parameters": [site],
            "get": operation(
                "listPoints",
                "sites",
                "The points of a site",
                {"200": listed},
                (400, 404, *_UPSTREAM_FAILURES),
                parameters=[query_parameter(each) for each in (p.SEARCH, p.PAGE, p.PER_PAGE)],
            ),
        },
    }


def _operation_paths() -> JsonObject:
    tag = "operations"
    purge = [
        query_parameter(p.SITE),
        *points_parameters(),
        query_parameter(p.PURGE_START_TIME),
        query_parameter(p.PURGE_END_TIME),
    ]
    return {
        "/api/stats": {
            "get": operation(
                "getStats",
                tag,
                "Cache, jobs, and the requests of the last 24 hours (admin)",
                {"200": json_answer("The figures.", ref("Stats"))},
            )
        },
        "/api/cache/objects": {
            "get": operation(
                "listCacheObjects",
                tag,
                "The objects in the bucket (admin)",
                {"200": json_answer("A page of objects.", ref("CacheObjects"))},
                (400,),
                parameters=[query_parameter(each) for each in (p.PREFIX, p.LIMIT, p.CURSOR)],
            )
        },
        "/api/cache": {
            "delete": operation(
                "purgeCache",
                tag,
                "Forget what is known of a site, of some points, of a range (admin)",
                {"200": json_answer("How many segments were forgotten.", ref("Purged"))},
                (400, 413),
                parameters=purge,
            )
        },
        "/api/maintenance/run": {
            "post": operation(
                "runMaintenance",
                tag,
                "Do what the cron trigger does (admin)",
                {"200": json_answer("What was done.", ref("MaintenanceRun"))},
            )
        },
    }


def _failed_chunk_paths() -> JsonObject:
    tag = "operations"
    job_id = path_parameter("jobId", "Job.", job_id_schema())
    return {
        "/api/queue/dlq/stats": {
            "get": operation(
                "getFailureStats",
                tag,
                "How many chunks ran out of retries (admin)",
                {"200": json_answer("The figures.", ref("FailedChunkStats"))},
            )
        },
        "/api/queue/dlq/failures": {
            "get": operation(
                "listFailures",
                tag,
                "The chunks that ran out of retries (admin)",
                {"200": json_answer("The chunks, the newest first.", ref("FailedChunks"))},
                (400,),
                parameters=[query_parameter(p.LIMIT)],
            )
        },
        "/api/queue/dlq/failures/{jobId}/retry": {
            "parameters": [job_id],
            "post": operation(
                "retryJob",
                tag,
                "Run what is missing of a failed job again (admin)",
                {"202": json_answer("The job, queued again.", ref("Job"))},
                (404, 409),
            ),
        },
    }


def _open_paths() -> JsonObject:
    health = json_answer("The Worker is well, or is not.", ref("Health"))
    page = {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}}
    return {
        "/api/health": {
            "get": open_operation(
                "getHealth", "Whether the Worker is well", {"200": health, "503": health}
            )
        },
        "/openapi.json": {
            "get": open_operation(
                "getOpenapi",
                "This document",
                {"200": json_answer("OpenAPI 3.1.", {"type": "object", "required": ["openapi"]})},
            )
        },
        "/": {"get": open_operation("getDashboard", "The dashboard page", {"200": page})},
    }
