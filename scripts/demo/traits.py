"""
What the demo upstream is like: each trait of the real service, and a kinder one to compare with.

Separate because the command, the protocol, the sites and the tests' fake upstream share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


def _trait(about: str, *values: str, kinder: int = 1) -> Any:
    """Return a field: the first value is the real service's, *kinder* the place of the other."""
    return field(
        default=values[0], metadata={"about": about, "values": values, "kinder": values[kinder]}
    )


@dataclass(frozen=True, slots=True)
class Traits:
    """
    One value for each trait; the defaults are the real service's.

    Raises:
        ValueError: A trait has no such value.
    """

    filter: str = _trait("point_names in a request for a page", "ignored", "heeded")
    cursor: str = _trait(
        "defective: the offset leaves out what the cursor that came in already carried; "
        "opaque: a token of another shape",
        *("defective", "perfect", "opaque"),
    )
    times: str = _trait("times of samples: without a zone, or with Z", "naive", "z")
    slashes: str = _trait(
        "strict: /sites is redirected to /sites/, other paths have no slash at their end",
        *("strict", "loose"),
    )
    unknown_site: str = _trait(
        "status for an unknown site: 403 with nulls, or 404 with a message", "403", "404"
    )
    wrong_token: str = _trait("status for a wrong token (a missing one is 401)", "500", "401")
    empty: str = _trait("a period without samples: an empty page, or 404", "page", "404")
    ends: str = _trait(
        "which ends of a range belong to it", "inclusive", "half-open", "start-exclusive"
    )
    per_page: str = _trait(
        "listed: only the sizes that the real service takes, default 10; any: 1 to 5000, "
        "default 100",
        *("listed", "any"),
    )
    names_per_call: str = _trait("points that one POST may name", "100", "any")
    request_line: str = _trait(
        "4094: bytes of the request line; 8000: characters of the address", "4094", "8000"
    )
    values: str = _trait(
        "strings: all but null; mixed: some are JSON numbers and booleans", "strings", "mixed"
    )
    point_calls: str = _trait(
        "samples of calls without pages: as collected, or in buckets of five minutes",
        *("raw", "5min"),
        kinder=0,
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value not in each.metadata["values"]:
                allowed = ", ".join(each.metadata["values"])
                raise ValueError(f"{each.name} cannot be {value!r}; one of {allowed}")


FAITHFUL = Traits()
KIND = Traits(**{each.name: each.metadata["kinder"] for each in fields(Traits)})
# By the names that commands and FAKE_UPSTREAM use.
WORLDS: Mapping[str, Traits] = {"faithful": FAITHFUL, "kind": KIND}
