"""What the Worker needs in an account: read from wrangler.toml, where every name stands once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass

from devtools.console import StepFailed

# Objects that should be gone long before, by the clean-up, are removed by the bucket itself: not
# before this many days, and not before this many days after the last that may still be served.
LIFECYCLE_DAYS_MIN = 30
LIFECYCLE_SPARE_DAYS = 7
DAY_SECONDS = 86_400
MAIN_BINDING = "DB"


@dataclass(frozen=True, slots=True)
class Names:
    """
    What wrangler.toml names.

    Attributes:
        worker: The Worker.
        buckets: R2 buckets.
        database: The D1 database that the Worker cannot do without.
        databases: All of them: statistics may have one of their own.
        queues: Every queue once.
        unproduced: Queues that no producer names; wrangler does not make those.
        consumed: Queues that the Worker consumes.
        lifecycle_days: Age at which the buckets remove objects by themselves.
        asks_for_keys: Whether requests need a key.
    """

    worker: str
    buckets: tuple[str, ...]
    database: str
    databases: tuple[str, ...]
    queues: tuple[str, ...]
    unproduced: tuple[str, ...]
    consumed: tuple[str, ...]
    lifecycle_days: int
    asks_for_keys: bool


def read_names(text: str) -> Names:
    """
    Return what a wrangler.toml names.

    Raises:
        StepFailed: It is no TOML or lacks something.
    """
    try:
        settings = tomllib.loads(text)
        options, consumers = settings["vars"], settings["queues"]["consumers"]
        produced = [each["queue"] for each in settings["queues"]["producers"]]
        consumed = [each["queue"] for each in consumers]
        dead = [each["dead_letter_queue"] for each in consumers if "dead_letter_queue" in each]
        queues = _unique([*produced, *consumed, *dead])
        databases = {each["binding"]: each["database_name"] for each in settings["d1_databases"]}
        trusted = int(options["TRUST_MAX"]) + int(options["STALE_GRACE"])
        kept = max(trusted, int(options["MAX_CACHE_AGE"]), int(options["DEFAULT_TTL"]))
        kept_days = -(-kept // DAY_SECONDS)
        return Names(
            worker=settings["name"],
            buckets=_unique(each["bucket_name"] for each in settings["r2_buckets"]),
            database=databases[MAIN_BINDING],
            databases=_unique([databases[MAIN_BINDING], *databases.values()]),
            queues=queues,
            unproduced=tuple(name for name in queues if name not in produced),
            consumed=_unique(consumed),
            lifecycle_days=max(LIFECYCLE_DAYS_MIN, kept_days + LIFECYCLE_SPARE_DAYS),
            asks_for_keys=options.get("AUTH_MODE", "keys") != "open",
        )
    except KeyError as error:
        raise StepFailed(f"wrangler.toml lacks {error}") from error
    except (LookupError, TypeError, ValueError) as error:
        raise StepFailed(f"wrangler.toml is not as this script expects it: {error}") from error


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
