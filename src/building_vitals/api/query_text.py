"""
The text of requests: queries and JSON bodies, parsed within bounds.

Separate because only this code touches bytes from strangers: it bounds sizes, depth, counts and
encodings before memory is spent on them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from building_vitals.api.parameters import BODY_BYTES_MAX, shown
from building_vitals.errors import InvalidRequest, Problem, TooLarge

QUERY_CHARACTERS_MAX = BODY_BYTES_MAX
QUERY_PARAMETERS_MAX = 10_000
# A request needs two. The parser of the runtime has a small stack.
JSON_DEPTH_MAX = 16
# Arrays and objects in all. An empty one takes 3 bytes to write and some 300 to hold.
JSON_CONTAINERS_MAX = 1000
# More digits than any bound has: a number that is cut here is out of bounds all the same.
_INTEGER_DIGITS_MAX = 24

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.!#$&^_-]+\+)?json", re.ASCII)
# Strings are matched whole, unterminated ones included: brackets in them don't count, and every
# byte is read once.
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


class QueryText:
    """The parameters of a query, decoded when they are read."""

    def __init__(self, query: str) -> None:
        """
        Args:
            query: Undecoded, without the question mark.

        Raises:
            TooLarge: it is longer than 1 MiB.
            InvalidRequest: it has more than 10,000 parameters.
        """
        if len(query) > QUERY_CHARACTERS_MAX:
            raise TooLarge(
                f"query too long: {len(query)} characters; {QUERY_CHARACTERS_MAX} are allowed"
            )
        parts = query.split("&", QUERY_PARAMETERS_MAX)
        if len(parts) > QUERY_PARAMETERS_MAX:
            message = f"too many parameters; {QUERY_PARAMETERS_MAX} are allowed"
            raise InvalidRequest([Problem("query", message)])
        self._texts: dict[str, list[str]] = {}
        for part in parts:
            if not part:
                continue
            name, _, text = part.partition("=")
            try:
                key = decode_component(name)
            except ValueError:
                # As it came: no parameter of the API has such a name.
                key = name
            self._texts.setdefault(key, []).append(text)

    @property
    def names(self) -> Iterable[str]:
        """The names of the parameters, each once."""
        return self._texts

    def single(self, name: str) -> str | None:
        """
        Return the text of a single-valued parameter; None where it is not given.

        Raises:
            ValueError: it is given more than once, or is not UTF-8.
        """
        texts = self._texts.get(name)
        if texts is None:
            return None
        if len(texts) > 1:
            raise ValueError(f"given {len(texts)} times; once is allowed")
        return decode_component(texts[0])

    def all(self, name: str) -> list[str] | None:
        """
        Return the texts of a repeatable parameter; None where it is not given.

        Raises:
            ValueError: one is not UTF-8.
        """
        texts = self._texts.get(name)
        return None if texts is None else [decode_component(text) for text in texts]


def decode_component(text: str, *, plus_is_blank: bool = True) -> str:
    """
    Return a part of a URL without its percent-encoding.

    Args:
        text: A `%` without two hexadecimal digits behind it stands for itself, as in browsers.
        plus_is_blank: Whether `+` stands for a blank: in queries, not in paths.

    Raises:
        ValueError: the bytes are not UTF-8.
    """
    if plus_is_blank:
        text = text.replace("+", " ")
    try:
        return unquote_to_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"not UTF-8: {shown(text)}, byte {error.start}; percent-encoded UTF-8 is allowed"
        ) from None


def read_json_object(
    body: bytes, content_type: str | None
) -> tuple[dict[str, object], frozenset[str]]:
    """
    Return a body's members, and the names of repeated members.

    Args:
        body: JSON in UTF-8.
        content_type: JSON's, or none.

    Raises:
        TooLarge: the body is longer than 1 MiB.
        InvalidRequest: it is no JSON object in UTF-8, or declares another type.
    """
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"body too large: {len(body)} bytes; {BODY_BYTES_MAX} are allowed")
    _check_content_type(content_type)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(f"not UTF-8: byte {error.start}; JSON in UTF-8 is allowed") from None
    _check_nesting(body)
    decoder = json.JSONDecoder(
        object_pairs_hook=_Members, parse_int=_parse_int, parse_constant=_refuse_constant
    )
    try:
        members = decoder.decode(text)
    except json.JSONDecodeError as error:
        what = f"{error.msg.lower().removesuffix(' at')} at character {error.pos}"
        raise _refused(f"not JSON: {what}; a JSON object is allowed") from None
    if not isinstance(members, _Members):
        raise _refused(f"not an object: {shown(members)}; a JSON object is allowed")
    return dict(members), members.repeated


class _Members(dict[str, object]):
    """The members of a JSON object; of members with the same name the last one."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated: frozenset[str] = frozenset()
        if len(self) < len(pairs):
            seen: set[str] = set()
            self.repeated = frozenset(
                name
                for name, _ in pairs
                if name in seen or seen.add(name)  # type: ignore[func-returns-value]
            )


def _check_content_type(content_type: str | None) -> None:
    if content_type is None:
        return
    media_type, *parameters = content_type.lower().split(";")
    charsets = [text.strip() for text in parameters if text.strip().startswith("charset=")]
    if _JSON_TYPE.fullmatch(media_type.strip()) is None or any(
        charset not in ("charset=utf-8", 'charset="utf-8"') for charset in charsets
    ):
        message = f"not JSON in UTF-8: {shown(content_type)}; application/json is allowed"
        raise InvalidRequest([Problem("Content-Type", message)])


def _check_nesting(body: bytes) -> None:
    depth = count = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match[0]
        if token in b"[{":
            depth, count = depth + 1, count + 1
            if depth > JSON_DEPTH_MAX:
                raise _refused(f"nested too deep; {JSON_DEPTH_MAX} levels are allowed")
            if count > JSON_CONTAINERS_MAX:
                raise _refused(f"too many arrays and objects; {JSON_CONTAINERS_MAX} are allowed")
        elif token in b"]}":
            depth -= 1


def _parse_int(digits: str) -> int:
    return int(digits[:_INTEGER_DIGITS_MAX])


def _refuse_constant(name: str) -> None:
    raise _refused(f"not JSON: {name}; a JSON object is allowed")


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest([Problem("body", message)])
