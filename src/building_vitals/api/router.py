"""Finds the endpoints of a path, and the methods that it has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from building_vitals.api.endpoint import Endpoint


class Resource(NamedTuple):
    """
    The endpoints of one path.

    Attributes:
        endpoints: By method.
        allow: The value of `Allow`.
    """

    endpoints: dict[str, Endpoint]
    allow: str


class Router:
    """Finds the resource of a path: at once where the path has no open part."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        by_path: dict[str, dict[str, Endpoint]] = {}
        for each in endpoints:
            by_path.setdefault(each.path, {})[each.method] = each
        self._whole: dict[str, tuple[Resource, tuple[str, ...]]] = {}
        self._open: list[tuple[re.Pattern[str], Resource]] = []
        for path, methods in by_path.items():
            resource = Resource(methods, _allow(methods))
            endpoint = next(iter(methods.values()))
            if endpoint.path_parameters:
                self._open.append((endpoint.path_pattern, resource))
            else:
                self._whole[path] = resource, ()

    def find(self, path: str) -> tuple[Resource, tuple[str, ...]] | None:
        """Return the resource of an undecoded path and the path's open parts, or None."""
        found = self._whole.get(path)
        if found is not None:
            return found
        for pattern, resource in self._open:
            match = pattern.fullmatch(path)
            if match is not None:
                return resource, match.groups()
        return None


def _allow(methods: Iterable[str]) -> str:
    """Return the value of `Allow`: what answers GET answers HEAD too, every path OPTIONS."""
    methods = list(methods)
    return ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
