"""
What schemathesis cannot know: how to give a key, and rules between parameters.

Loaded by its command line (SCHEMATHESIS_HOOKS). API_KEYS holds keys, separated by commas; they take
turns, because each may ask only so often.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import schemathesis

# Time-outs below this may be over before the upstream could answer: 504 is the right answer.
TIMEOUT_MS_MIN = 1000
# A schema describes one parameter at a time. What is refused for these is refused rightly.
RULES = (
    ("end_time", "not after start_time"),
    ("end_time", "range too long"),
    ("points", "missing"),
    ("points", "too many points"),
    ("cursor", "not a cursor"),
    ("layout", "wide is for CSV"),
    ("interval", "too many buckets"),
    ("interval", "longer than 20 years"),
    ("max_points", "chooses samples"),
    ("aggregate", "says nothing without interval"),
    ("tz", "says nothing without interval"),
    ("tz", "unknown time zone"),
    ("since", "not of the last 20 years"),
)

_keys = itertools.cycle(os.environ["API_KEYS"].split(","))


@schemathesis.auth(refresh_interval=None)
class Keys:
    """Gives each request a key."""

    def get(self, case: Any, context: Any) -> str:
        """Return the next key."""
        return next(_keys)

    def set(self, case: Any, data: str, context: Any) -> None:
        """Put a key into a request."""
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def filter_failure(  # schemathesis takes a hook's parameters by their names
    context: Any,
    failure: Any,
    case: Any,
    response: Any,
) -> bool:
    """Return whether a failure is one."""
    if response is None:
        return True
    if failure.title == "Deleted resource still available":
        # DELETE of a job cancels it: the job stays, and says so.
        return not case.path.startswith("/api/jobs/")
    if response.status_code == 504:
        return not _is_hasty(case)
    if response.status_code == 413 and "estimated samples" in response.text:
        # A range without an end is long, and only some routes take a long one.
        return False
    if response.status_code == 410:
        # Whoever tests everything also empties the cache that a result was in.
        return False
    if response.status_code != 400 or "Schema-valid request rejected" not in failure.title:
        return True
    errors = response.json()["errors"]
    return not all(
        any(error["field"] == field and error["message"].startswith(text) for field, text in RULES)
        for error in errors
    )


def _is_hasty(case: Any) -> bool:
    for members in (case.query, case.body):
        if isinstance(members, dict) and "timeout" in members:
            return int(members["timeout"]) < TIMEOUT_MS_MIN
    return False
