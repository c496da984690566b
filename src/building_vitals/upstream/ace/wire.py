"""
The shapes of the upstream's answers, and the decoders that check a body against them.

Separate because all flaws of the wire format (NaN literals, cursors that lead nowhere) are handled
here, without any request.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from building_vitals.series.values import NumberText
from building_vitals.upstream.ace.nesting import is_deeper

ShapeT = TypeVar("ShapeT")

# In the place of a name or time that is missing or no text. No point has this name.
NO_TEXT = ""
# Levels of arrays and objects in an answer, its own three included.
PAGE_LEVELS_MAX = 32
LISTING_LEVELS_MAX = 64

# int() refuses more than 4,300 digits.
_INT_DIGITS_MAX = 4_000


class WireSample(msgspec.Struct, gc=False):
    """
    One sample as the upstream sent it.

    Attributes:
        name: The point's name; NO_TEXT where it came without one that is text.
        value: As decoded; a number with a fraction or exponent is a NumberText. UNSET where it came
            without one.
        time: ISO 8601, not parsed; NO_TEXT where it came without one that is text.
    """

    name: str
    value: Any
    time: str


class Page(msgspec.Struct):
    """
    One answer with samples.

    Attributes:
        point_samples: In the order of the body.
        next_cursor: Parameter `cursor` of the request for the next page.
        has_more: Whether there is a next page; may be missing.
    """

    point_samples: list[WireSample]
    next_cursor: str | int | UnsetType | None = UNSET
    has_more: bool | UnsetType | None = UNSET


class _FlawedSample(msgspec.Struct, gc=False):
    """A sample of which anything may be missing, or of another type."""

    name: Any = None
    value: Any = UNSET
    time: Any = None


class _FlawedPage(msgspec.Struct):
    """A page of such samples."""

    point_samples: list[_FlawedSample]
    next_cursor: str | int | UnsetType | None = UNSET
    has_more: bool | UnsetType | None = UNSET


class Listing(msgspec.Struct):
    """
    One page of the list of sites or of a site's points.

    Attributes:
        items: As decoded.
        pages: Number of the last page; missing or 0 when there is one page or none.
    """

    items: list[dict[str, Any]]
    pages: int | None = None


class PageRefused(Exception):
    """A body that is no valid answer; the text continues `upstream /path`."""


# The cursor and little else follows the samples of a page.
_ENVELOPE_BYTES_MAX = 4_096
_NO_SAMPLES = b'{"point_samples":['

_PAGES = msgspec.json.Decoder(Page, float_hook=NumberText)
_FLAWED_PAGES = msgspec.json.Decoder(_FlawedPage, float_hook=NumberText)
_LISTINGS = msgspec.json.Decoder(Listing)


def decode_page(body: bytes) -> Page:
    """
    Decode a page of samples.

    A sample that lacks something spoils no page: it stays in its place, for rows to be counted.

    Raises:
        PageRefused: *body* is not JSON (cut, HTML), is nested too deep, or has another shape.
    """
    _refuse_deeper(body, PAGE_LEVELS_MAX)
    try:
        return _PAGES.decode(body)
    except (ValueError, RecursionError):
        return _mended(_decode(_FLAWED_PAGES, _FlawedPage, body))


def _mended(page: _FlawedPage) -> Page:
    """Return a page whose names and times are all text."""
    samples = [
        WireSample(
            each.name if type(each.name) is str else NO_TEXT,
            each.value,
            each.time if type(each.time) is str else NO_TEXT,
        )
        for each in page.point_samples
    ]
    return Page(samples, page.next_cursor, page.has_more)


def decode_samples(body: bytes) -> list[WireSample]:
    """
    Decode an answer that has all samples at once.

    Raises:
        PageRefused: as `decode_page`, or it says that it is not all.
    """
    page = decode_page(body)
    if page.has_more is True:
        raise PageRefused("says has_more in an answer without pages")
    return page.point_samples


def decode_listing(body: bytes) -> Listing:
    """
    Decode a page of a list.

    Raises:
        PageRefused: *body* is not JSON, is nested too deep, or has another shape.
    """
    _refuse_deeper(body, LISTING_LEVELS_MAX)
    return _decode(_LISTINGS, Listing, body)


def cursor_after(page: Page) -> str | None:
    """
    Return the cursor of the page after this one, None when this is the last.

    A page with a cursor but without `has_more` is followed: that can only add samples.

    Raises:
        PageRefused: the page does not say whether it is the last, or has no cursor for the next.
    """
    has_cursor = page.next_cursor not in (None, UNSET, "")
    if page.has_more is False:
        return None
    if page.has_more is True and not has_cursor:
        raise PageRefused("says has_more but gives no cursor")
    if page.has_more is UNSET and page.next_cursor is UNSET:
        raise PageRefused("does not say whether more follows")
    return str(page.next_cursor) if has_cursor else None


def guess_cursor(body: bytes) -> str | None:
    """
    Return the cursor at the end of a body, without decoding its samples.

    It is a guess: the decoded page may be invalid, or have another cursor. None also when the
    cursor does not stand at the end.
    """
    end = body.rfind(b"]", -_ENVELOPE_BYTES_MAX)
    if end < 0:
        return None
    envelope = _NO_SAMPLES + body[end:]
    try:
        _refuse_deeper(envelope, PAGE_LEVELS_MAX)
        return cursor_after(_PAGES.decode(envelope))
    except (ValueError, PageRefused):
        return None


def _refuse_deeper(body: bytes, levels_max: int) -> None:
    """Raise PageRefused where decoding would go deeper than *levels_max*."""
    if is_deeper(body, levels_max):
        raise PageRefused(f"sent what is nested deeper than {levels_max} levels")


def _decode(decoder: msgspec.json.Decoder[ShapeT], shape: type[ShapeT], body: bytes) -> ShapeT:
    """
    Decode strictly, and where that fails as leniently as the standard library.

    The strict decoder refuses bare NaN and Infinity, lone surrogates in text, and integers of
    thousands of digits. The lenient one accepts all three; NaN and Infinity become null.
    """
    try:
        return decoder.decode(body)
    except (ValueError, RecursionError) as refused:
        reason = refused
    try:
        number = float if shape is Listing else NumberText
        # Decoded here: the library takes UTF-16 too, in which nobody has counted the brackets.
        text = body.decode("utf-8-sig", "surrogatepass")
        loose = json.loads(
            text, parse_float=number, parse_int=_loose_int, parse_constant=lambda _: None
        )
        return msgspec.convert(loose, shape)
    except (ValueError, RecursionError):
        raise PageRefused(f"sent what is not a page ({reason})") from None


def _loose_int(digits: str) -> Any:
    """Return an integer, as text where it has more digits than int() takes."""
    return int(digits) if len(digits) <= _INT_DIGITS_MAX else NumberText(digits)
