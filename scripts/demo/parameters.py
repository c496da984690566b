"""
What the upstream takes in a query: sizes, times, switches.

Separate because most of it is what the real service refuses.
"""

import re
from collections.abc import Mapping

from demo.instants import parse_ms
from demo.messages import ProtocolError

PAGE_SIZES = (3, 10, 50, 100, 500, 1000, 5000, 10_000, 50_000, 100_000, 300_000, 500_000)
PAGE_SIZE_DEFAULT = 10_000
PER_PAGE_SIZES = (2, 10, 20, 30, 40, 50, 100, 500, 1000, 5000, 10_000, 100_000)
PER_PAGE_DEFAULT = 10
PER_PAGE_ANY_DEFAULT = 100
PER_PAGE_ANY_MAX = 5000
_SWITCH = {"true": True, "false": False, "1": True, "0": False}


def _refusal(name: str, text: object) -> ProtocolError:
    """Return the error for a value; the real service tells no allowed ones either."""
    return ProtocolError(400, f"{name} is not a valid choice: {text}")


def _listed(params: Mapping[str, str], name: str, sizes: tuple[int, ...], default: int) -> int:
    text = params.get(name, str(default))
    if text not in {str(size) for size in sizes}:
        raise _refusal(name, text)
    return int(text)


def page_size_of(params: Mapping[str, str]) -> int:
    """
    Return how many samples a page may hold.

    Raises:
        ProtocolError: 400, the real service has no such size.
    """
    return _listed(params, "page_size", PAGE_SIZES, PAGE_SIZE_DEFAULT)


def per_page_of(params: Mapping[str, str], *, is_listed: bool) -> int:
    """
    Return how many items a page of a list may hold.

    Args:
        params: The query.
        is_listed: Whether only the real service's sizes are taken.

    Raises:
        ProtocolError: 400, no such size is taken.
    """
    if is_listed:
        return _listed(params, "per_page", PER_PAGE_SIZES, PER_PAGE_DEFAULT)
    return number_of(params, "per_page", PER_PAGE_ANY_DEFAULT, PER_PAGE_ANY_MAX)


def number_of(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    """
    Return a parameter that is an integer from 1 to *most*.

    Raises:
        ProtocolError: 400, it is something else.
    """
    text = params.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise ProtocolError(400, f"{name} must be an integer from 1 to {most}: {text}")
    return int(text)


def switch_of(params: Mapping[str, str], name: str) -> bool:
    """
    Return a parameter that is true or false; without it, false.

    Raises:
        ProtocolError: 400, it is neither.
    """
    text = params.get(name, "false").lower()
    if text not in _SWITCH:
        raise ProtocolError(400, f"{name} must be true or false: {text}")
    return _SWITCH[text]


def range_of(params: Mapping[str, str], ends: str) -> tuple[int, int]:
    """
    Return the half-open range, epoch ms, of the samples that a query asks for.

    Args:
        params: The query.
        ends: Which of its ends belong to it, as the trait says.

    Raises:
        ProtocolError: 400, the times are missing, malformed or in the wrong order.
    """
    times = []
    for name in ("start_time", "end_time"):
        try:
            times.append(parse_ms(params[name]))
        except (KeyError, ValueError, OverflowError) as exc:
            raise ProtocolError(
                400, f"{name} must be an ISO 8601 time: {params.get(name)}"
            ) from exc
    start_ms, end_ms = times
    if end_ms <= start_ms:
        raise ProtocolError(400, "end_time must be after start_time")
    return start_ms + (ends == "start-exclusive"), end_ms + (ends != "half-open")
