"""
What the description of an operation is put together from: parameters, answers, failures, headers.
"""

from __future__ import annotations

from typing import Any

from building_vitals.answers.formats.registry import CONTENT_TYPES
from building_vitals.answers.question import ROUTES
from building_vitals.api import parameters as p
from building_vitals.api.openapi_answers import CACHE_STATUSES
from building_vitals.api.openapi_schemas import Schema, parameter_schema, ref
from building_vitals.api.parameters import Parameter
from building_vitals.api.problem import PROBLEM_CONTENT_TYPE
from building_vitals.names import LISTED_POINT_PATTERN, POINT_LENGTH_MAX

JsonObject = dict[str, Any]

JSON_TYPE = "application/json"
# What every operation that needs a key may fail with.
_COMMON_FAILURES = (401, 403, 429, 500, 503)
_FAILURES = {
    400: "Something is wrong with the request; all of it is listed.",
    401: "There is no API key, or none that is valid.",
    403: "The key is not allowed this.",
    404: "There is no such thing, or nothing that the key may see.",
    409: "The state of the thing does not allow this.",
    410: "The result has expired: ask for the data again.",
    413: "The request is larger than allowed.",
    429: "Too many requests; `Retry-After` says when to come back.",
    500: "Unexpected failure.",
    502: "The upstream failed.",
    503: "A part that is needed is missing or down.",
    504: "The upstream did not answer in time.",
}
_FAILURE_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",)}
_FAILURE_SCHEMAS = {400: "InvalidRequest"}


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    answers: JsonObject,
    failing: tuple[int, ...] = (),
    **more: Any,
) -> JsonObject:
    """
    Return an operation that needs a key.

    Args:
        answers: Responses by status.
        failing: Statuses it fails with, besides those that every operation may fail with.
        more: Parameters, body.
    """
    statuses = sorted({*failing, *_COMMON_FAILURES})
    responses = answers | {
        str(status): {"$ref": f"#/components/responses/Failure{status}"} for status in statuses
    }
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        **more,
        "responses": responses,
    }


def open_operation(operation_id: str, summary: str, answers: JsonObject) -> JsonObject:
    """Return an operation that needs no key."""
    return {
        "operationId": operation_id,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": answers | {"500": {"$ref": "#/components/responses/Failure500"}},
    }


def query_parameter(parameter: Parameter) -> JsonObject:
    """Return a parameter of a query."""
    described = {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.description,
        "schema": parameter_schema(parameter),
    }
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def points_parameters() -> list[JsonObject]:
    """Return `points` and `point`; one of them at least must be given."""
    listed = {
        "type": "string",
        "maxLength": POINT_LENGTH_MAX,
        "pattern": f"^{LISTED_POINT_PATTERN}$",
    }
    # The longest address ends long before the most points allowed, which a body can name.
    bounds = {"type": "array", "minItems": 1}
    return [
        {
            "name": p.POINTS.name,
            "in": "query",
            "description": p.POINTS.description,
            "style": "form",
            "explode": False,
            "schema": bounds | {"items": listed},
        },
        {
            "name": p.POINT.name,
            "in": "query",
            "description": p.POINT.description,
            "style": "form",
            "explode": True,
            "schema": bounds | {"items": parameter_schema(p.POINT)},
            "example": [p.POINT.example],
        },
    ]


def path_parameter(name: str, description: str, schema: Schema, **more: Any) -> JsonObject:
    """Return a parameter of a path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        **more,
    }


def job_id_schema() -> Schema:
    """Return what a job's id looks like."""
    return {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,128}$"}


def if_none_match() -> JsonObject:
    """Return the header that asks whether an answer has changed."""
    return {
        "name": "If-None-Match",
        "in": "header",
        "description": "Entity tags of answers that the client has, or `*`.",
        "schema": {"type": "string"},
    }


def json_answer(description: str, schema: Schema) -> JsonObject:
    """Return an answer in JSON."""
    return {
        "description": description,
        "headers": header_refs("X-Request-Id"),
        "content": {JSON_TYPE: {"schema": schema}},
    }


def samples_answer(description: str) -> JsonObject:
    """Return an answer with samples, in any format."""
    content: JsonObject = {
        content_type.partition(";")[0]: {"schema": {"type": "string"}}
        for content_type in CONTENT_TYPES.values()
    }
    content[JSON_TYPE] = {"schema": ref("TimeseriesAnswer")}
    # The same structure, in MessagePack: no text to hold against a schema.
    content["application/msgpack"] = {}
    return {
        "description": description,
        "headers": header_refs(
            "X-Request-Id",
            "X-Route-Type",
            "X-Cache-Hit",
            "X-Cache-Status",
            "X-Request-Duration",
            "Server-Timing",
            "ETag",
        ),
        "content": content,
    }


def queued_answer() -> JsonObject:
    """Return the answer to a request that became a job."""
    answer = json_answer("The request became a job, or is one already.", ref("QueuedAnswer"))
    answer["headers"] |= header_refs("Location", "Retry-After")
    answer["links"] = {
        "job": {"operationId": "getJob", "parameters": {"id": "$response.body#/jobId"}}
    }
    return answer


def not_modified() -> JsonObject:
    """Return the answer to a client that has it."""
    return {
        "description": "The client has this answer already.",
        "headers": header_refs("X-Request-Id", "ETag"),
    }


def failures() -> JsonObject:
    """Return the answers to failures, by the names that `operation` refers to."""
    return {
        f"Failure{status}": {
            "description": description,
            "headers": header_refs("X-Request-Id", *_FAILURE_HEADERS.get(status, ())),
            "content": {
                PROBLEM_CONTENT_TYPE: {"schema": ref(_FAILURE_SCHEMAS.get(status, "Problem"))}
            },
        }
        for status, description in _FAILURES.items()
    }


def header_refs(*names: str) -> JsonObject:
    """Return references to headers of the document."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def headers() -> JsonObject:
    """Return the document's headers, by name."""
    text: Schema = {"type": "string"}
    count: Schema = {"type": "integer", "minimum": 0}
    schemas: dict[str, tuple[str, Schema]] = {
        "X-Request-Id": ("Names the request in the log.", text),
        "X-Route-Type": ("Route that was taken.", _choice(*ROUTES)),
        "X-Cache-Hit": ("Whether nothing was fetched.", _choice("true", "false")),
        "X-Cache-Status": ("What was known before.", _choice(*CACHE_STATUSES)),
        "X-Request-Duration": ("Milliseconds it took.", {"type": "number", "minimum": 0}),
        "Server-Timing": ("What took how long.", text),
        "Location": ("The job.", text),
        "Retry-After": ("Seconds to wait.", count),
        "WWW-Authenticate": ("How to give a key.", text),
    }
    headers = {
        name: {"description": description, "required": True, "schema": schema}
        for name, (description, schema) in schemas.items()
    }
    headers["ETag"] = {
        "description": "Names the answer; absent where it may change.",
        "schema": text,
    }
    return headers


def _choice(*texts: str) -> Schema:
    return {"type": "string", "enum": list(texts)}
