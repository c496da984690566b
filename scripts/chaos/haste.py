"""
What is shorter in the Worker of a run than in production, so that a run of minutes sees it: rounds,
the life of leases, merges of blocks.

Nothing of the Worker can be set so. Its sources are changed on their way into the runtime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

# A round may come each minute, and comes so many times as often.
HASTE = 12
# How late samples come at the most of the sites that are followed, by the vars of every profile.
LATENESS_S = 5
FETCH_MS_MAX = 16_000
LEASE_MS = 9_000

# By the path below `src`: what is written there once, and what stands in its place.
SHORTENED: Mapping[str, Mapping[str, str]] = {
    "building_vitals/api/requests.py": {
        "_UNITS_MS[every[-1]]": f"_UNITS_MS[every[-1]] // {HASTE}",
    },
    "building_vitals/cache/lease.py": {
        "FETCH_MS_MAX = 15 * MINUTE_MS": f"FETCH_MS_MAX = {FETCH_MS_MAX}",
    },
    "building_vitals/follow/follows_table.py": {"LEASE_MS = 60_000": f"LEASE_MS = {LEASE_MS}"},
    "building_vitals/follow/rounds.py": {
        "RETRY_MS, RETRY_MS_MAX = 30_000, 600_000": "RETRY_MS, RETRY_MS_MAX = 1_000, 5_000",
    },
    "building_vitals/follow/runner.py": {
        "READ_MS_LIMIT = 200_000, 270_000": "READ_MS_LIMIT = 6_000, 10_000",
    },
    "building_vitals/follow/site_pages.py": {
        "HELD_SAMPLES_MAX = 250_000": "HELD_SAMPLES_MAX = 400"
    },
    "building_vitals/follow/upkeep.py": {
        "QUIET_MS = 15_000": "QUIET_MS = 3_000",
        "SEND_AGAIN_MS, SEND_AGAIN_MS_MAX = 5 * MINUTE_MS, 6 * HOUR_MS": (
            "SEND_AGAIN_MS, SEND_AGAIN_MS_MAX = 5_000 + 0 * MINUTE_MS, 20_000 + 0 * HOUR_MS"
        ),
    },
    "building_vitals/jobs/runner.py": {"CHUNK_MS_MAX = 240_000": "CHUNK_MS_MAX = 13_000"},
}


def fingerprint() -> str:
    """Return what tells a Worker that was changed so from another one."""
    return hashlib.sha256(json.dumps(SHORTENED, sort_keys=True).encode()).hexdigest()[:12]
