"""
Times between epoch milliseconds and ISO 8601 text, for the demo upstream.

Separate because the sources, the protocol and the meter files all need the same two directions.
"""

from datetime import UTC, datetime
from functools import lru_cache

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BUCKET_MS = 5 * MINUTE_MS


def parse_ms(text: str) -> int:
    """
    Return the epoch milliseconds of an ISO 8601 time; a time without offset is UTC.

    Raises:
        ValueError: *text* is no ISO 8601 time.
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole_s = int(moment.replace(microsecond=0).timestamp())
    return whole_s * SECOND_MS + moment.microsecond // 1000


@lru_cache(maxsize=4096)
def _date_text(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


@lru_cache(maxsize=8192)
def _clock_text(ms_of_day: int) -> str:
    seconds, ms = divmod(ms_of_day, SECOND_MS)
    fraction = f".{ms:03d}" if ms else ""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def iso_text(ms: int) -> str:
    """Return *ms* as ISO 8601 in UTC with `Z`; milliseconds only where there are any."""
    day, ms_of_day = divmod(ms, DAY_MS)
    return f"{_date_text(day)}T{_clock_text(ms_of_day)}Z"


def naive_text(ms: int) -> str:
    """Return *ms* as the real service writes times: without a zone, with microseconds if any."""
    text = iso_text(ms)[:-1]
    return f"{text}000" if ms % SECOND_MS else text
