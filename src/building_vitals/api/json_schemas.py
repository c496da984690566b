"""
Parameters and documents as JSON Schema (2020-12).

Separate because definitions that validate and encode become definitions that describe here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter
from building_vitals.api.readers import IGNORED_PREFIX
from building_vitals.fields import JsonObject
from building_vitals.instants import INSTANT_MAX_MS, NOW_PATTERN, NUMBER_MIN_MS

_REF_TEMPLATE = "#/components/schemas/{name}"


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


def at_least(minimum: int) -> str:
    """
    Return a regular expression for the decimal texts of *minimum* and above, of as many digits.

    Args:
        minimum: Of two digits at least.
    """
    digits = str(minimum)
    higher = [
        f"{digits[:place]}[{int(digit) + 1}-9][0-9]{{{len(digits) - place - 1}}}"
        for place, digit in enumerate(digits)
        if digit != "9"
    ]
    return f"{'|'.join(higher)}|{digits}"


_LEAP = "0[48]|[2468][048]|[13579][26]"
_BASIC_DATE = (
    "(?!0000|00010101|99991231)(?:[0-9]{4}(?:(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|1[0-9]|2[0-8]))"
    f"|(?:[0-9]{{2}}(?:{_LEAP})|(?:{_LEAP}|00)00)0229)"
)
# Twelve digits, thirteen, fourteen, fifteen.
_NUMBER = (
    f"{at_least(NUMBER_MIN_MS)}|[1-9][0-9]{{12,13}}"
    f"|(?=[12][0-9]{{14}})(?:{at_most(INSTANT_MAX_MS)})"
)
_INSTANT: JsonObject = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": f"^(?:{NOW_PATTERN}|{_BASIC_DATE}|{_NUMBER})$"},
        {"type": "integer", "minimum": NUMBER_MIN_MS, "maximum": INSTANT_MAX_MS},
    ]
}


def document_schemas(documents: Iterable[Any]) -> tuple[list[JsonObject], dict[str, JsonObject]]:
    """
    Return the schema of each document, and the components that these refer to, by name.

    Args:
        documents: Types that msgspec encodes: Structs, mostly.
    """
    schemas, components = msgspec.json.schema_components(documents, ref_template=_REF_TEMPLATE)
    for component in components.values():
        for name, schema in component.get("properties", {}).items():
            # Encoded all the same: fields that may be absent are unset by default.
            if "default" in schema:
                del schema["default"]
                component.setdefault("required", []).append(name)
        # The first paragraph describes the document, the others are for the code's readers.
        summary = component.get("description", "").partition("\n\n")[0]
        component["description"] = " ".join(summary.split())
    return list(schemas), components


def parameter_schema(parameter: Parameter) -> JsonObject:
    """Return the allowed values of a parameter."""
    if parameter.kind == "instant":
        schema = dict(_INSTANT)
    elif parameter.kind == "integer":
        schema = {"type": "integer", "minimum": parameter.minimum, "maximum": parameter.maximum}
    elif parameter.kind == "boolean":
        schema = {"type": "boolean"}
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
    if parameter.listing is not None:
        # An address ends long before the maximum of points, which a body can name.
        schema = {"type": "array", "minItems": 1, "items": schema}
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema


def body_schema(members: Iterable[Parameter]) -> JsonObject:
    """
    Return the schema of a JSON body.

    Args:
        members: Its members; optional ones may be null, which stands for not given.
    """
    properties: dict[str, JsonObject] = {}
    members = list(members)
    required = [p.POINTS.name] if p.POINTS in members else []
    for each in members:
        if each is p.POINTS:
            schema: JsonObject = parameter_schema(p.POINT) | {"maxItems": p.POINTS_MAX}
            description = "Names of points, which may hold commas. A repeated name counts once."
        else:
            schema, description = parameter_schema(each), each.description
            if each.is_required:
                required.append(each.name)
            else:
                schema = _nullable(schema)
        properties[each.name] = schema | {"description": description}
    example = {
        each.name: [p.POINT.example] if each is p.POINTS else each.example
        for each in members
        if each.name in required
    }
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "patternProperties": {f"^{IGNORED_PREFIX}": {}},
        "additionalProperties": False,
        "examples": [example],
    }


def _nullable(schema: JsonObject) -> JsonObject:
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    nullable = schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable
