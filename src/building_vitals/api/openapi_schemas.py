"""
Parameters as JSON Schema (2020-12).

Separate because this is where definitions that validate become definitions that describe.
"""

from __future__ import annotations

from typing import Any

from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter
from building_vitals.instants import INSTANT_MAX_MS, INSTANT_MIN_MS

Schema = dict[str, Any]


def at_most(maximum: int) -> str:
    """
    Return a regular expression for the decimal texts of 0 to *maximum*, of as many digits or fewer.

    Args:
        maximum: Of two digits at least.
    """
    digits = str(maximum)
    longer = [
        f"{digits[:place]}[0-{int(digit) - 1}][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "0"
    ]
    return f"[0-9]{{1,{len(digits) - 1}}}|{'|'.join(longer)}|{digits}"


_INSTANT: Schema = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {
            "type": "string",
            # A text is read up to 15 digits, so the shorter bound may have a zero before it.
            "pattern": f"^(-0?({at_most(-INSTANT_MIN_MS)})|{at_most(INSTANT_MAX_MS)})$",
        },
        {"type": "integer", "minimum": INSTANT_MIN_MS, "maximum": INSTANT_MAX_MS},
    ]
}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def parameter_schema(parameter: Parameter) -> Schema:
    """Return what a parameter may be."""
    schema: Schema
    if parameter.kind == "instant":
        schema = dict(_INSTANT)
    elif parameter.kind == "integer":
        schema = {
            "type": "integer",
            "minimum": parameter.minimum,
            "maximum": parameter.maximum,
        }
    elif parameter.choices:
        schema = {"type": "string", "enum": list(parameter.choices)}
    else:
        schema = {
            "type": "string",
            "minLength": parameter.length_min,
            "maxLength": parameter.length_max,
        }
        if parameter.pattern is not None:
            schema["pattern"] = f"^{parameter.pattern}$"
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def timeseries_body_schema(timeout_ms_max: int) -> Schema:
    """Return the body of `POST /api/timeseries`."""
    required = [p.SITE, p.START_TIME, p.END_TIME]
    optional = [
        p.ROUTE,
        p.FORMAT,
        p.PRIORITY,
        p.timeout_parameter(timeout_ms_max),
        p.MAX_POINTS,
        p.USER_ID,
    ]
    properties: dict[str, Schema] = {
        each.name: parameter_schema(each) | {"description": each.description} for each in required
    }
    properties["points"] = {
        "type": "array",
        "items": parameter_schema(p.POINT),
        "minItems": 1,
        "maxItems": p.POINTS_MAX,
        "description": "Names of points, commas and all. A point named twice counts once.",
    }
    for each in optional:
        properties[each.name] = _nullable(parameter_schema(each)) | {
            "description": each.description
        }
    return {
        "type": "object",
        "required": [*(each.name for each in required), "points"],
        "properties": properties,
        "examples": [
            {
                "site": p.SITE.example,
                "points": [p.POINT.example],
                "start_time": p.START_TIME.example,
                "end_time": p.END_TIME.example,
            }
        ],
    }


def _nullable(schema: Schema) -> Schema:
    """Return the schema with null added: in a body it stands for not given."""
    nullable = schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable
