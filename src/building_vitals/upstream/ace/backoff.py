"""
How long to wait before a request is sent again.

Separate because it is arithmetic on numbers and headers, tested without any request.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from building_vitals.instants import EPOCH, MILLISECOND

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]+)?")
_HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"


def backoff_ms(attempts: int, *, base_ms: int, max_ms: int, jitter: float) -> int:
    """
    Return the wait after *attempts* failures: full jitter below a ceiling that doubles.

    Args:
        attempts: Failures so far, at least 1.
        base_ms: Ceiling after the first failure.
        max_ms: Where the ceiling stops growing.
        jitter: Random, 0 <= x < 1.
    """
    # The exponent is bounded so that no huge integer is made on the way to the minimum.
    ceiling_ms = min(max_ms, base_ms * 2 ** min(attempts - 1, 30))
    return int(ceiling_ms * jitter)


def parse_retry_after(value: str | None, now_ms: int) -> int | None:
    """
    Return the milliseconds that a `Retry-After` header asks to wait.

    Args:
        value: Seconds or an HTTP date; None when there is no such header.
        now_ms: The present instant, for dates.

    Returns:
        0 or more; None when the header is missing or unreadable.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return int(float(text) * 1000)
    try:
        moment = datetime.strptime(text, _HTTP_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None
    return max(0, (moment - EPOCH) // MILLISECOND - now_ms)
