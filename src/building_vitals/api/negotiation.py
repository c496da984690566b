"""
Content negotiation: format and compression of the answer, whether the client has it already, and
how long it would rather wait for it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from building_vitals.answers.formats.registry import CONTENT_TYPES, FORMATS, Format, answer_format

_MEDIA_TYPES: dict[str, Format] = {
    media_type: name for name in FORMATS for media_type in answer_format(name).media_types
}
# The headers that `choose_format` and `accepts_gzip` read.
VARY = "Accept, Accept-Encoding"
# Real headers have fewer than ten entries; entries beyond this many are ignored.
ENTRIES_MAX = 64
# Longest header that is looked into.
PREFER_LENGTH_MAX = 4096

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?", re.ASCII)
# A token with a value, or without, then parameters of its own: https://www.rfc-editor.org/rfc/rfc7240
_PREFERENCE = re.compile(
    r"""\s*([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s",;]*))?\s*"""
    r"""((?:;(?:[^",]|"(?:[^"\\]|\\.)*")*)?)(?:,|$)""",
    re.ASCII | re.IGNORECASE,
)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_ENTITY_TAG = re.compile(r'(?:W/)?"([^"]*)"')


class _Entry(NamedTuple):
    """One entry of an `Accept` or `Accept-Encoding` header."""

    name: str
    weight: float


def choose_format(override: Format | None, accept: str | None) -> Format:
    """
    Return the format of the answer.

    Args:
        override: The parameter `format`; taken as it is.
        accept: The `Accept` header.

    Returns:
        The format with the highest weight; of equals the one with the more specific entry, then
        the one named first. JSON if the header names no known format: a dashboard with a careless
        `Accept` gets an answer, not a refusal.
    """
    if override is not None:
        return override
    if accept is None:
        return "json"
    entries = _entries(accept)
    ranked: list[tuple[float, int, int, Format]] = []
    for offered in FORMATS:
        best = _best_match(offered, entries)
        if best is not None:
            specificity, place = best
            ranked.append((entries[place].weight, specificity, -place, offered))
    served = [rank for rank in ranked if rank[0] > 0]
    # max() keeps the first of equals: `*/*` gives the first of FORMATS.
    return max(served, key=lambda rank: rank[:3])[3] if served else "json"


def _best_match(offered: Format, entries: list[_Entry]) -> tuple[int, int] | None:
    """Return specificity and place of the entry that decides about a format."""
    family = CONTENT_TYPES[offered].partition("/")[0]
    best: tuple[int, int] | None = None
    for place, entry in enumerate(entries):
        main, _, sub = entry.name.partition("/")
        if _MEDIA_TYPES.get(entry.name) == offered:
            specificity = 2
        elif sub == "*" and main == family:
            specificity = 1
        elif entry.name == "*/*":
            specificity = 0
        else:
            continue
        if best is None or specificity > best[0]:
            best = specificity, place
    return best


def preferred_wait(prefer: str | None, wait_s_max: int) -> int | None:
    """
    Return the seconds that a `Prefer` header asks to wait; None where it does not.

    What cannot be read, or is longer than *wait_s_max*, is no preference that could be heeded, and
    no error. Of several the first counts.
    """
    if prefer is None or len(prefer) > PREFER_LENGTH_MAX:
        return None
    place = 0
    while place < len(prefer) and (found := _PREFERENCE.match(prefer, place)) is not None:
        place = found.end()
        if found[1].lower() == "wait":
            value = (found[2] or "").strip('"')
            if _SECONDS.fullmatch(value) is None or int(value) > wait_s_max:
                return None
            return int(value)
    return None


def accepts_gzip(accept_encoding: str | None) -> bool:
    """
    Return whether the client takes gzip, and does not prefer plain bytes.

    A client without the header gets plain bytes.
    """
    if accept_encoding is None:
        return False
    weights: dict[str, float] = {}
    for entry in _entries(accept_encoding):
        weights.setdefault(entry.name, entry.weight)
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """
    Return whether an `If-None-Match` header names the entity tag, compared weakly (RFC 9110).

    Args:
        if_none_match: A list of tags, or `*` for any; None without the header.
        etag: The answer's tag, with its quotes, and its `W/` if it is weak.
    """
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    own_tag = _ENTITY_TAG.fullmatch(etag)
    return own_tag is not None and any(
        match[1] == own_tag[1] for match in _ENTITY_TAG.finditer(if_none_match)
    )


def _entries(header: str) -> list[_Entry]:
    """
    Return the entries of a header, in its order, names in lower case; malformed weights count 0.
    """
    entries: list[_Entry] = []
    for part in header.split(",", ENTRIES_MAX)[:ENTRIES_MAX]:
        name, *parameters = part.split(";")
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                text = value.strip()
                weight = float(text) if _WEIGHT.fullmatch(text) else 0.0
        if name.strip():
            entries.append(_Entry(name.strip().lower(), weight))
    return entries
