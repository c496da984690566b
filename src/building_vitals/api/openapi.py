"""The API as an OpenAPI 3.1 document, made from the definitions that requests are validated by."""

from __future__ import annotations

from building_vitals.api import parameters as p
from building_vitals.api.openapi_answers import component_schemas
from building_vitals.api.openapi_parts import JsonObject, failures, headers
from building_vitals.api.openapi_paths import paths


def openapi_document(version: str, *, timeout_ms_max: int = p.TIMEOUT_MS_MAX) -> JsonObject:
    """
    Return the OpenAPI 3.1 document of every path in the HTTP contract.

    Args:
        version: Of the Worker.
        timeout_ms_max: The longest time-out that may be asked for, milliseconds.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Building Vitals",
            "version": version,
            "description": (
                "Time series of buildings: small questions answered at once, what has been "
                "fetched remembered, large questions answered by jobs. What answers GET answers "
                "HEAD too, and every path answers OPTIONS."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": [{"name": name} for name in ("timeseries", "jobs", "sites", "operations")],
        "paths": paths(timeout_ms_max),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "headers": headers(),
            "responses": failures(),
            "schemas": component_schemas(timeout_ms_max),
        },
    }
