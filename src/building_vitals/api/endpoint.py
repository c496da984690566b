"""
A row of the route table, and what it says of its answers.

Separate from the table because the table names every handler, and the description only rows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any, Literal, NamedTuple

from building_vitals.api.messages import Call, Reply
from building_vitals.api.parameters import Parameter

Handler = Callable[[Call], Awaitable[Reply]]
# A reader of a job other than its owner gets a 404 from the handler.
Role = Literal["anybody", "reader", "owner", "admin"]
Tag = Literal["timeseries", "jobs", "sites", "operations"]

JSON_TYPE = "application/json"
# Failures of every endpoint, and of every endpoint that needs a key.
_OPEN_FAILURES = frozenset({400, 403, 500, 503})
_KEYED_FAILURES = frozenset({400, 401, 403, 429, 500, 503})
_OPEN_PART = re.compile(r"\{(\w+)\}")


class LateDocument(NamedTuple):
    """
    A document whose module is imported only where somebody needs it.

    Attributes:
        module: The module's name.
        name: Of its class there.
    """

    module: str
    name: str

    def load(self) -> type:
        """Return the class."""
        found: type = getattr(import_module(self.module), self.name)
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """
    An answer of an endpoint that is no failure.

    Attributes:
        content: Type of the body by media type: a Struct, or where it is, `str` for text, None for
            bytes.
        headers: Names of its headers besides `X-Request-Id`.
        links: OpenAPI links to other operations, by name.
    """

    description: str
    content: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    links: Mapping[str, Any] = field(default_factory=dict)


def json_answer(description: str, document: Any) -> Answer:
    """Return an answer with a JSON document."""
    return Answer(description, {JSON_TYPE: document})


@dataclass(frozen=True, eq=False)
class Endpoint:
    """
    A method of a path: what it takes, who may call it, how it is answered.

    Attributes:
        route: Method and path template: `GET /api/jobs/{id}`; `{name}` stands for one segment.
        operation_id: Unique name for generated clients.
        query: Parameters that the handler can read from the query; no others.
        body: Members of a JSON body that the handler can read; empty where there is no body.
        answers: By status, failures excepted.
        failures: Statuses of failures besides those that every endpoint of this role has.
    """

    route: str
    handler: Handler
    _: KW_ONLY
    role: Role
    operation_id: str
    tag: Tag
    summary: str
    query: tuple[Parameter, ...] = ()
    body: tuple[Parameter, ...] = ()
    answers: Mapping[int, Answer]
    failures: tuple[int, ...] = ()

    @cached_property
    def method(self) -> str:
        """The method."""
        return self.route.partition(" ")[0]

    @cached_property
    def path(self) -> str:
        """The path's template."""
        return self.route.partition(" ")[2]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the handler can read."""
        return self.body or self.query

    @cached_property
    def label(self) -> str:
        """Method and path for the statistics: `GET /api/jobs/*`."""
        return _OPEN_PART.sub("*", self.route)

    @property
    def path_parameters(self) -> list[str]:
        """Names of the open parts of the path."""
        return _OPEN_PART.findall(self.path)

    @property
    def path_pattern(self) -> re.Pattern[str]:
        """Matches the undecoded paths of this endpoint."""
        parts = _OPEN_PART.split(self.path)
        return re.compile("([^/]+)".join(re.escape(part) for part in parts[::2]))

    @property
    def failing(self) -> list[int]:
        """Every status of a failure, in order."""
        common = _OPEN_FAILURES if self.role == "anybody" else _KEYED_FAILURES
        return sorted({*common, *self.failures} - set(self.answers))
