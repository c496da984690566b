"""The API as an OpenAPI 3.1 document, derived from the route table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from building_vitals.answers.answer import CacheStatus
from building_vitals.answers.question import ROUTES
from building_vitals.api import parameters as p
from building_vitals.api.endpoint import JSON_TYPE, Answer, Endpoint, LateDocument, Tag
from building_vitals.api.json_schemas import body_schema, document_schemas, parameter_schema
from building_vitals.api.parameters import Parameter
from building_vitals.api.problem import (
    PROBLEM_CONTENT_TYPE,
    InvalidRequestDocument,
    ProblemDocument,
)
from building_vitals.errors import InvalidRequest
from building_vitals.fields import JsonObject

_PATH_PARAMETERS = {"id": p.JOB_ID, "jobId": p.JOB_ID, "site": p.SITE}
_BODY_NAMES = {"postTimeseries": "TimeseriesRequest", "putFollow": "FollowRequest"}
_FAILURES = {
    400: "The request is invalid; the answer lists every problem.",
    401: "The API key is missing or not valid.",
    403: "The API key does not allow this; without keys, the host or origin of the request.",
    404: "The resource does not exist, or the API key may not see it.",
    408: "The body did not come whole in time.",
    409: "The state of the resource does not allow this.",
    410: "The result has expired; send the request again.",
    413: "The request exceeds a limit.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "Unexpected failure.",
    502: "The upstream failed.",
    503: "A required part of the service is missing, down, or not set up correctly.",
    504: "The upstream did not answer in time.",
}
_FAILURE_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",)}
_TEXT: JsonObject = {"type": "string"}
_HEADERS: dict[str, tuple[str, JsonObject]] = {
    "X-Request-Id": ("Id of the request in the log.", _TEXT),
    "X-Route-Type": ("Route of the request.", {"type": "string", "enum": list(ROUTES)}),
    "X-Cache-Hit": (
        "Whether the whole answer came from the cache.",
        {"type": "string", "enum": ["true", "false"]},
    ),
    "X-Cache-Status": (
        "The cache's part in the answer.",
        {"type": "string", "enum": list(get_args(CacheStatus))},
    ),
    "X-Request-Duration": ("Duration in milliseconds.", {"type": "number", "minimum": 0}),
    "Server-Timing": ("Duration and cache status, for browsers.", _TEXT),
    "ETag": ("Entity tag of the answer; absent where the answer may change.", _TEXT),
    "Content-Disposition": (
        "Name of a file, made of site and range; absent of JSON.",
        _TEXT,
    ),
    "Location": ("Path of the job.", _TEXT),
    "Preference-Applied": ("`wait=N`, where `Prefer` was heeded.", _TEXT),
    "Retry-After": ("Seconds to wait.", {"type": "integer", "minimum": 0}),
    "WWW-Authenticate": ("Authentication scheme.", _TEXT),
}
_OPTIONAL_HEADERS = {"Content-Disposition", "ETag", "Preference-Applied"}
_IF_NONE_MATCH: JsonObject = {
    "name": "If-None-Match",
    "in": "header",
    "description": "Entity tags of answers that the client has, or `*`.",
    "schema": _TEXT,
}
_PREFER: JsonObject = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=N` asks for what the parameter `wait` does, which comes first.",
    "schema": _TEXT,
}


def openapi_document(
    endpoints: Sequence[Endpoint], version: str, *, timeout_ms_max: int = p.TIMEOUT_MS_MAX
) -> JsonObject:
    """
    Return the OpenAPI 3.1 document of a route table.

    Args:
        endpoints: The table.
        version: Of the Worker.
        timeout_ms_max: The longest allowed time-out, milliseconds.
    """
    schemas = _Schemas(endpoints, timeout_ms_max)
    paths: dict[str, JsonObject] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = schemas.operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Building Vitals",
            "version": version,
            "description": (
                "Time series of buildings. Small requests are answered at once, large requests "
                "become jobs, and fetched samples are cached. Every path that answers GET also "
                "answers HEAD; every path answers OPTIONS. A parameter that a path does not have "
                "is refused, unless its name begins with `_`."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": [{"name": name} for name in get_args(Tag)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "headers": {
                name: {
                    "description": description,
                    "required": name not in _OPTIONAL_HEADERS,
                    "schema": schema,
                }
                for name, (description, schema) in _HEADERS.items()
            },
            "responses": schemas.failures(),
            "schemas": schemas.components,
        },
    }


class _Schemas:
    """
    The operations of a route table, and the components that they refer to.

    Attributes:
        components: Schemas of the documents, by name.
    """

    def __init__(self, endpoints: Iterable[Endpoint], timeout_ms_max: int) -> None:
        self._timeout = p.timeout_parameter(timeout_ms_max)
        contents = [
            _type_of(body)
            for endpoint in endpoints
            for answer in endpoint.answers.values()
            for body in answer.content.values()
            if body is not None
        ]
        bodies = list(dict.fromkeys([*contents, ProblemDocument, InvalidRequestDocument]))
        schemas, self.components = document_schemas(bodies)
        self._by_body: dict[Any, JsonObject] = dict(zip(bodies, schemas, strict=True))
        self._failing = sorted(set(itertools.chain(*(each.failing for each in endpoints))))

    def operation(self, endpoint: Endpoint) -> JsonObject:
        """Return an endpoint as an operation."""
        parameters = [
            _parameter(_PATH_PARAMETERS[name], "path", name) for name in endpoint.path_parameters
        ]
        parameters += [_parameter(self._configured(each), "query") for each in endpoint.query]
        if 304 in endpoint.answers:  # noqa: PLR2004 - HTTP
            parameters.append(_IF_NONE_MATCH)
        if p.WAIT in endpoint.parameters:
            parameters.append(_PREFER)
        operation: JsonObject = {
            "operationId": endpoint.operation_id,
            "tags": [endpoint.tag],
            "summary": endpoint.summary,
        }
        if endpoint.role == "anybody":
            operation["security"] = []
        if parameters:
            operation["parameters"] = parameters
        if endpoint.body:
            members = [self._configured(each) for each in endpoint.body]
            name = _BODY_NAMES[endpoint.operation_id]
            self.components[name] = body_schema(members)
            schema = {"$ref": f"#/components/schemas/{name}"}
            operation["requestBody"] = {
                "required": True,
                "content": {JSON_TYPE: {"schema": schema}},
            }
        operation["responses"] = {
            str(status): self._answer(each) for status, each in endpoint.answers.items()
        } | {
            str(status): {"$ref": f"#/components/responses/Failure{status}"}
            for status in endpoint.failing
        }
        return operation

    def failures(self) -> JsonObject:
        """Return the answers to failures, by the names that operations refer to."""
        return {
            f"Failure{status}": self._answer(
                Answer(
                    _FAILURES[status],
                    {
                        PROBLEM_CONTENT_TYPE: InvalidRequestDocument
                        if status == InvalidRequest.status
                        else ProblemDocument
                    },
                    _FAILURE_HEADERS.get(status, ()),
                )
            )
            for status in self._failing
        }

    def _configured(self, parameter: Parameter) -> Parameter:
        return self._timeout if parameter is p.TIMEOUT else parameter

    def _answer(self, answer: Answer) -> JsonObject:
        described: JsonObject = {
            "description": answer.description,
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"}
                for name in ("X-Request-Id", *answer.headers)
            },
        }
        if answer.content:
            described["content"] = {
                media_type: {} if body is None else {"schema": self._by_body[_type_of(body)]}
                for media_type, body in answer.content.items()
            }
        if answer.links:
            described["links"] = dict(answer.links)
        return described


def _type_of(body: Any) -> Any:
    return body.load() if isinstance(body, LateDocument) else body


def _parameter(parameter: Parameter, place: str, name: str | None = None) -> JsonObject:
    """Return a parameter of a path or a query."""
    described: JsonObject = {
        "name": name or parameter.name,
        "in": place,
        "required": parameter.is_required or place == "path",
        "description": parameter.description,
        "schema": parameter_schema(parameter),
    }
    if parameter.listing is not None:
        described |= {"style": "form", "explode": parameter.listing == "repeated"}
    if parameter.example is not None:
        is_list = parameter.listing is not None
        described["example"] = [parameter.example] if is_list else parameter.example
    return described
