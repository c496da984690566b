"""Times as the API takes them, and time zones."""

from __future__ import annotations

import operator
from datetime import date, datetime, time, timezone
from typing import SupportsIndex
from zoneinfo import ZoneInfo

Time = str | datetime | date | SupportsIndex


def api_time(value: Time, tz: str | None = None) -> str | int:
    """
    Return a time as the API takes it.

    Args:
        value: Text as the API takes it (ISO 8601, `now`, `now-7d`), epoch milliseconds, a datetime
            with a time zone, or a date, which stands for its beginning.
        tz: IANA name of the zone that dates, and datetimes without a zone, are read in.

    Raises:
        ValueError: a datetime has no zone, and *tz* is None: the API would take it for UTC, and
            Python for local time.
        TypeError: it is something else.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            if tz is None:
                raise ValueError(
                    f"{value.isoformat()} has no time zone; give it one, or give tz= to the call"
                )
            value = value.replace(tzinfo=ZoneInfo(tz))
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    if isinstance(value, date):
        zone = timezone.utc if tz is None else ZoneInfo(tz)
        return api_time(datetime.combine(value, time(), tzinfo=zone))
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"not a time: {value!r}; text, datetime, date or epoch milliseconds")
    return operator.index(value)


def moment(epoch_ms: int) -> datetime:
    """Return a time in UTC."""
    return datetime.fromtimestamp(epoch_ms / 1000, timezone.utc)
