"""The one place where keys of objects are made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from building_vitals.instants import format_instant
from building_vitals.names import SITE_PATTERN
from building_vitals.ranges import Range

SEGMENTS_PREFIX = "timeseries/"
BLOCKS_PREFIX = "blocks/"
DATASETS_PREFIX = "datasets/"
RESULTS_PREFIX = "results/"
# No object has a key of this kind: what it names lies in rows of the index.
ROWS = "rows/"


def segment_object_key(
    site: str, points: Iterable[str], known: Range, *, fetched_ms: int, nonce: str
) -> str:
    """
    Return the key of a new object: `timeseries/{site}/{start date}_{end date}/{id}.seg`.

    The site is valid, so free of anything but letters, digits, `_`, `.` and `-`. The nonce is
    random, so that no object ever takes another one's key.
    """
    times = (known.start_ms, known.end_ms, fetched_ms)
    identity = _identity(site, *map(str, times), nonce, *points)
    dates = f"{format_instant(known.start_ms)[:10]}_{format_instant(known.end_ms)[:10]}"
    return f"{SEGMENTS_PREFIX}{site}/{dates}/{identity[:40]}.seg"


def block_object_key(site: str, known: Range, *, nonce: str) -> str:
    """
    Return the key of a new block: `blocks/{site}/{start date}_{end date}/{id}.blk`.

    As that of a segments' object, it is never that of another one.
    """
    dates = f"{format_instant(known.start_ms)[:10]}_{format_instant(known.end_ms)[:10]}"
    identity = _identity("block", site, str(known.start_ms), str(known.end_ms), nonce)
    return f"{BLOCKS_PREFIX}{site}/{dates}/{identity[:40]}.blk"


def row_key(site: str, nonce: str) -> str:
    """
    Return the name of what is stored in rows: `rows/{site}/{nonce}`.

    The site is valid, so free of `/`; the nonce is random, so that nothing else ever has that name.
    """
    return f"{ROWS}{site}/{nonce}"


def is_row_key(key: str) -> bool:
    """Return whether a key names what lies in rows, not an object."""
    return key.startswith(ROWS)


def site_of(key: str) -> str:
    """Return the site of what is stored in rows."""
    return key.split("/")[1]


def dataset_object_key(site: str, points: Iterable[str], time_range: Range, format: str) -> str:
    """
    Return the key of a dataset: `datasets/{site}/{sha256}`, the same for the same question.

    Points may come in any order and more than once; ranges differ by the millisecond.

    Raises:
        ValueError: the site is not one, and so may not stand in a key.
    """
    if re.fullmatch(SITE_PATTERN, site, re.ASCII) is None:
        raise ValueError(f"not a site: {site!r}; letters, digits, '_', '.' and '-' are allowed")
    times = (time_range.start_ms, time_range.end_ms)
    return (
        f"{DATASETS_PREFIX}{site}/{_identity(site, *map(str, times), format, *sorted({*points}))}"
    )


def result_object_key(site: str, job_id: str, nonce: str) -> str:
    """
    Return the key of a job's result: `results/{site}/{job}/{id}`, which tells whose it is.

    The site and the job's identity are valid, so free of `/`; the nonce is random, so that no
    object ever takes another one's key.
    """
    return f"{RESULTS_PREFIX}{site}/{job_id}/{_identity('result', site, job_id, nonce)[:40]}"


def job_of(result_key: str) -> str:
    """Return the job whose result has a key."""
    return result_key.split("/")[-2]


def _identity(*parts: str) -> str:
    """Return a digest that no other parts have: the length before each keeps neighbours apart."""
    digest = hashlib.sha256()
    for part in parts:
        text = part.encode()
        digest.update(b"%d:%b" % (len(text), text))
    return digest.hexdigest()
