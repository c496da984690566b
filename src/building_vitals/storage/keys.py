"""
The one place where keys of objects are made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from building_vitals.core.instant import format_instant
from building_vitals.core.ranges import Range

SEGMENTS_PREFIX = "timeseries/"
DATASETS_PREFIX = "datasets/"


def segment_object_key(
    site: str, points: Iterable[str], known: Range, *, fetched_ms: int, nonce: str
) -> str:
    """
    Return the key of a new object: `timeseries/{site}/{start date}_{end date}/{id}.seg`.

    Args:
        site: Valid as a site, so free of anything but letters, digits, `_`, `.` and `-`.
        nonce: Random, so that no object ever takes another one's key.
    """
    identity = hashlib.sha256()
    for part in (site, str(known.start_ms), str(known.end_ms), str(fetched_ms), nonce, *points):
        text = part.encode()
        identity.update(b"%d:%b" % (len(text), text))
    dates = f"{format_instant(known.start_ms)[:10]}_{format_instant(known.end_ms)[:10]}"
    return f"{SEGMENTS_PREFIX}{site}/{dates}/{identity.hexdigest()[:40]}.seg"
