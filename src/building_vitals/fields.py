"""
Types of the fields of JSON documents, with the constraints that the API's description shows.

Separate because documents belong to their rooms and share these; encoding checks none of them.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

JsonObject = dict[str, Any]

Count = Annotated[int, Meta(ge=0)]
Measure = Annotated[float, Meta(ge=0)]
IsoTime = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
