"""What the Worker needs in an account: read from wrangler.toml, where every name stands once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from devtools.console import StepFailed

PLACEHOLDER_ID = "00000000-0000-0000-0000-000000000000"
# https://developers.cloudflare.com/r2/buckets/create-buckets/ and the queues' own rule
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")
DATABASE_ID = re.compile(r'^(\s*database_id\s*=\s*")([^"]*)(")', re.MULTILINE)

# Objects that should be gone long before, by the clean-up, are removed by the bucket itself.
LIFECYCLE_DAYS_MIN = 30
# What an object may outlive its last segment by before the rule takes it, whatever is configured.
LIFECYCLE_SPARE_DAYS = 7
LIFECYCLE_PREFIXES = ("timeseries/", "datasets/")
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Resources:
    """
    Everything that wrangler.toml names.

    Attributes:
        worker: Name of the Worker.
        buckets: R2 buckets, the preview ones too.
        live_buckets: Those that the deployed Worker uses.
        database: Name of the D1 database.
        database_id: Its id, or the placeholder.
        queues: Every queue once, those that only take dead letters first.
        consumed: Queues that the Worker consumes.
        lifecycle_days: Age in days at which the buckets remove objects by themselves.
        asks_for_keys: Whether requests need a key.
    """

    worker: str
    buckets: tuple[str, ...]
    live_buckets: tuple[str, ...]
    database: str
    database_id: str
    queues: tuple[str, ...]
    consumed: tuple[str, ...]
    lifecycle_days: int
    asks_for_keys: bool


def read_resources(text: str) -> Resources:
    """
    Return what a wrangler.toml names.

    Raises:
        StepFailed: It is no TOML, lacks something, or holds a name that Cloudflare refuses.
    """
    try:
        settings = tomllib.loads(text)
        buckets = settings["r2_buckets"]
        live = _unique(bucket["bucket_name"] for bucket in buckets)
        preview = (bucket.get("preview_bucket_name") for bucket in buckets)
        (database,) = settings["d1_databases"]
        found = Resources(
            worker=settings["name"],
            buckets=_unique([*live, *(name for name in preview if name)]),
            live_buckets=live,
            database=database["database_name"],
            database_id=database["database_id"],
            queues=_queues(settings["queues"]),
            consumed=_unique(each["queue"] for each in settings["queues"]["consumers"]),
            lifecycle_days=_lifecycle_days(settings["vars"]),
            asks_for_keys=settings["vars"].get("AUTH_MODE", "keys") != "open",
        )
    except tomllib.TOMLDecodeError as error:
        raise StepFailed(f"wrangler.toml is not TOML: {error}") from error
    except KeyError as error:
        raise StepFailed(f"wrangler.toml lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise StepFailed(f"wrangler.toml is not as this script expects it: {error}") from error
    _check_names("bucket", found.buckets, BUCKET_NAME)
    _check_names("queue", found.queues, QUEUE_NAME)
    return found


def with_database_id(text: str, database_id: str) -> str:
    """
    Return a wrangler.toml with another id in its one `database_id` line; nothing else changes.

    Raises:
        StepFailed: There is not exactly one such line.
    """
    changed, count = DATABASE_ID.subn(rf"\g<1>{database_id}\g<3>", text)
    if count != 1:
        raise StepFailed(f"wrangler.toml must have one database_id line: found {count}")
    return changed


def _queues(queues: Mapping[str, Any]) -> tuple[str, ...]:
    dead = [
        each["dead_letter_queue"] for each in queues["consumers"] if "dead_letter_queue" in each
    ]
    named = [each["queue"] for kind in ("producers", "consumers") for each in queues[kind]]
    return _unique([*dead, *named])


def _lifecycle_days(options: Mapping[str, str]) -> int:
    """Return an age that no object reaches whose segments may still be served."""
    kept = max(int(options["MAX_CACHE_AGE"]), int(options["DEFAULT_TTL"]))
    seconds = kept + int(options["STALE_GRACE"])
    return max(LIFECYCLE_DAYS_MIN, -(-seconds // DAY_SECONDS) + LIFECYCLE_SPARE_DAYS)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _check_names(kind: str, names: Iterable[str], pattern: re.Pattern[str]) -> None:
    for name in names:
        if not pattern.fullmatch(name):
            raise StepFailed(f"not a {kind}'s name: {name!r}; it must match {pattern.pattern}")
