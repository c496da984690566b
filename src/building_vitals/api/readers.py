"""
Parameters read from a query or a JSON body, and their problems.

Separate because the same rules hold for both; they differ only in where a value stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from building_vitals.api import parameters as p
from building_vitals.api.parameters import Parameter, Value, shown
from building_vitals.api.query_text import QueryText
from building_vitals.errors import InvalidRequest, Problem
from building_vitals.instants import DAY_MS, format_instant
from building_vitals.ranges import Range

# Wrong names that are listed one by one; the number of further ones follows.
WRONG_POINTS_TOLD_MAX = 20
UNKNOWN_TOLD_MAX = 20
# Names that begin so are for others: a browser's page puts `_=1735689600` behind an address.
IGNORED_PREFIX = "_"


class ParameterReader(ABC):
    """Reads parameters and collects their problems."""

    def __init__(self, parameters: Iterable[Parameter], now_ms: int | None) -> None:
        """
        Args:
            parameters: The endpoint's; no others can be read.
            now_ms: The present, for times that count from it; None where there must be none.
        """
        self._now_ms = now_ms
        self.problems: list[Problem] = []
        # In the endpoint's order.
        self._names = dict.fromkeys(parameter.name for parameter in parameters)

    def read(self, parameter: Parameter) -> Any:
        """
        Return a parameter's value, its default, or None where there is neither or it is wrong.

        Raises:
            LookupError: the endpoint has no such parameter.
            NowNeededError: it counts from the present, and the reader does not know that.
        """
        if parameter.name not in self._names:
            raise LookupError(f"not a parameter of this endpoint: {parameter.name}")
        try:
            value = self.value_of(parameter)
        except ValueError as error:
            self.refuse(parameter.name, str(error))
            return None
        if value is None and parameter.is_required:
            self.refuse(parameter.name, f"missing; {parameter.allowed}")
        if value is None and isinstance(parameter.default, str):
            return parameter.read_text(parameter.default, self._now_ms)
        return parameter.default if value is None else value

    def _listed(self, parameter: Parameter, items: Sequence[object]) -> str:
        """
        Return the texts of a parameter that may have several, each once, joined by commas.

        Raises:
            ValueError: one is wrong.
        """
        return ",".join(dict.fromkeys(str(parameter.read_json(each)) for each in items))

    @abstractmethod
    def value_of(self, parameter: Parameter) -> Value | None:
        """
        Return a parameter's value, or None where it is not given.

        Raises:
            ValueError: it is wrong.
        """

    @abstractmethod
    def given(self) -> Iterable[str]:
        """Return the names of all that is given, each once."""

    @abstractmethod
    def names(self) -> Sequence[tuple[str, object]] | None:
        """
        Return the points' names, each with its parameter; None where none is given.
        """

    def refuse(self, field: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(field, message))

    def read_points(self, *, is_required: bool = True) -> tuple[str, ...] | None:
        """
        Return the points, unique and in order; None where none is given.

        The points are valid only if no problem has been noted.
        """
        names = self.names()
        if names is None:
            if is_required:
                self.refuse(p.POINTS.name, f"missing; {p.POINTS.allowed}")
            return None
        unique: dict[str, str] = {}
        wrong: list[tuple[str, str]] = []
        for field, name in names:
            if isinstance(name, str):
                unique.setdefault(name, field)
            else:
                wrong.append((field, f"not a text: {shown(name)}; {p.POINT.allowed}"))
        if len(unique) > p.POINTS_MAX:
            self.refuse(p.POINTS.name, f"too many points: {len(unique)}; {p.POINTS.allowed}")
        points = tuple(unique)[: p.POINTS_MAX]
        for name in points:
            try:
                p.POINT.read_text(name)
            except ValueError as error:
                wrong.append((unique[name], str(error)))
        for field, message in wrong[:WRONG_POINTS_TOLD_MAX]:
            self.refuse(field, message)
        if len(wrong) > WRONG_POINTS_TOLD_MAX:
            more = len(wrong) - WRONG_POINTS_TOLD_MAX
            self.refuse(p.POINTS.name, f"further wrong names: {more}; {p.POINT.allowed}")
        return points

    def check_range(
        self, start_ms: int, end_ms: int, *, duration_ms_max: int | None = None
    ) -> Range:
        """Return the range; it is valid only if no problem has been noted."""
        time_range = Range(start_ms, end_ms)
        if time_range.duration_ms <= 0:
            start, end = format_instant(start_ms), format_instant(end_ms)
            self.refuse(
                p.END_TIME.name, f"not after start_time: {end}; a time after {start} is allowed"
            )
        elif duration_ms_max is not None and time_range.duration_ms > duration_ms_max:
            days = -(-time_range.duration_ms // DAY_MS)
            self.refuse(
                p.END_TIME.name,
                f"range too long: {days} days; {p.RANGE_DAYS_MAX} days (20 years) are allowed",
            )
        return time_range

    def raise_problems(self) -> None:
        """Raise the problems, those of parameters that nobody knows included, if there are any."""
        unknown = [
            name
            for name in self.given()
            if name not in self._names and not name.startswith(IGNORED_PREFIX)
        ]
        for name in unknown[:UNKNOWN_TOLD_MAX]:
            # Printable, and without half of a pair, which no answer can hold.
            self.refuse(shown(name)[1:-1], _unknown(name, tuple(self._names)))
        if len(unknown) > UNKNOWN_TOLD_MAX:
            more = len(unknown) - UNKNOWN_TOLD_MAX
            self.refuse("query", f"further unknown parameters: {more}")
        if self.problems:
            raise InvalidRequest(self.problems)


def _unknown(name: str, known: Sequence[str]) -> str:
    """Return what is said of a parameter that nobody knows: what was meant, or what there is."""
    if not known:
        return f"unknown parameter: {shown(name)}; none is known here"
    # As app.py says: few requests name anything wrong.
    from building_vitals.nearest import nearest_parameter

    meant = nearest_parameter(name, known)
    if meant is None:
        return f"unknown parameter: {shown(name)}; known are {', '.join(known)}"
    return f"unknown parameter: {shown(name)}; the nearest known one is {meant}"


def _split(texts: Iterable[str]) -> list[str]:
    """Return the names that texts list, separated by commas; blanks around a name do not count."""
    return [name.strip(" ") for text in texts for name in text.split(",")]


class QueryReader(ParameterReader):
    """Reads a query."""

    def __init__(
        self, query: str, parameters: Iterable[Parameter], now_ms: int | None = None
    ) -> None:
        super().__init__(parameters, now_ms)
        self._query = QueryText(query)

    def value_of(self, parameter: Parameter) -> Value | None:
        if parameter.listing is not None:
            texts = self._query.all(parameter.name)
            return None if texts is None else self._listed(parameter, _split(texts))
        text = self._query.single(parameter.name)
        return None if text is None else parameter.read_text(text, self._now_ms)

    def given(self) -> Iterable[str]:
        return self._query.names

    def names(self) -> Sequence[tuple[str, object]] | None:
        lists, names = self._texts(p.POINTS.name), self._texts(p.POINT.name)
        if lists is None and names is None:
            return None
        # Split after decoding: browsers write the commas between names as %2C too.
        return [(p.POINTS.name, name) for name in _split(lists or ())] + [
            (p.POINT.name, name) for name in names or ()
        ]

    def _texts(self, name: str) -> list[str] | None:
        if name not in self._names:
            return None
        try:
            return self._query.all(name)
        except ValueError as error:
            self.refuse(name, str(error))
            return []


class BodyReader(ParameterReader):
    """Reads the members of a JSON object."""

    def __init__(
        self,
        members: Mapping[str, object],
        repeated: frozenset[str],
        parameters: Iterable[Parameter],
        now_ms: int | None = None,
    ) -> None:
        super().__init__(parameters, now_ms)
        self._members = members
        self._repeated = repeated

    def value_of(self, parameter: Parameter) -> Value | None:
        value = self._member(parameter.name)
        if parameter.listing is not None and value is not None:
            items = _split([value]) if isinstance(value, str) else value
            if not isinstance(items, list) or not items:
                raise ValueError(f"not a text or an array: {shown(value)}; {parameter.allowed}")
            return self._listed(parameter, items)
        return None if value is None else parameter.read_json(value, self._now_ms)

    def given(self) -> Iterable[str]:
        return self._members

    def names(self) -> Sequence[tuple[str, object]] | None:
        field = p.POINTS.name
        try:
            value = self._member(field)
        except ValueError as error:
            self.refuse(field, str(error))
            return []
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            what = "no name given" if value == [] else f"not an array: {shown(value)}"
            self.refuse(field, f"{what}; an array of 1 to {p.POINTS_MAX:,} names is allowed")
            return []
        return [(field, name) for name in value]

    def _member(self, name: str) -> object:
        if name in self._repeated:
            raise ValueError("given more than once; once is allowed")
        return self._members.get(name)
