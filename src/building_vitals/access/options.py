"""Options of the limits by cost; `settings` reads them from the vars."""

from __future__ import annotations

import msgspec


class AllowanceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    Options of allowances.

    Attributes:
        at_once: Estimated samples that may be fetched for a key at once; 0 for any number.
        per_minute: Those that each minute gives back.
    """

    at_once: int = 30_000_000
    per_minute: int = 3_000_000
