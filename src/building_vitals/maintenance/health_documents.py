"""
What `/api/health` answers, and what an isolate keeps of it.

Apart from the checks, which few requests need: these are imported when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from building_vitals.fields import IsoTime
from building_vitals.instants import format_instant

VERSION = "1.0.0"
OK = "ok"
NOT_CHECKED = "not checked"


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """
    Results of the checks: `ok`, or the failure.

    `keys` only where keys are required, `settings` only where vars or secrets are refused, `stats`
    only where statistics have a database of their own.
    """

    d1: str
    r2: str
    queues: str
    upstream: str
    maintenance: str
    keys: str | msgspec.UnsetType = msgspec.UNSET
    settings: str | msgspec.UnsetType = msgspec.UNSET
    stats: str | msgspec.UnsetType = msgspec.UNSET


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Health of the Worker and its bindings."""

    status: Literal["healthy", "degraded"]
    service: str = "building-vitals"
    timestamp: IsoTime
    version: str = VERSION
    auth_mode: str
    checks: Checks
    maintenance_age_seconds: (
        Annotated[
            int,
            msgspec.Meta(ge=0, description="Since the last maintenance run ended; null for never."),
        ]
        | None
    )


class HealthMemory:
    """
    What an isolate found when it last looked.

    Attributes:
        health: The answer.
        until_ms: Until when it is given again.
        asking_until_ms: Until when another request is given time to find a new one.
        writes: What the writes to D1 and to R2 came to.
        writes_until_ms: Until when that counts.
    """

    def __init__(self) -> None:
        self.health: Health | None = None
        self.until_ms = 0
        self.asking_until_ms = 0
        self.writes: tuple[str, str] = (OK, OK)
        self.writes_until_ms = 0


def unset_health(names: Sequence[str], now_ms: int) -> Health:
    """Return the health of a Worker whose vars or secrets of these names are refused."""
    return Health(
        status="degraded",
        timestamp=format_instant(now_ms),
        auth_mode="unknown",
        checks=Checks(
            d1=NOT_CHECKED,
            r2=NOT_CHECKED,
            queues=NOT_CHECKED,
            upstream=NOT_CHECKED,
            maintenance=NOT_CHECKED,
            settings=f"refused: {', '.join(names)}; the log says why",
        ),
        maintenance_age_seconds=None,
    )
