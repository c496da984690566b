"""How a command ends: its exit status, and what it says on standard error."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from building_vitals_client.errors import (
    BadRequest,
    BuildingVitalsError,
    Conflict,
    ConnectionLost,
    JobEnded,
    NotAllowed,
    NotFound,
    RateLimited,
    ServerError,
    StaleData,
    Unavailable,
    UpstreamFailed,
)


class ExitCode(IntEnum):
    """
    Exit statuses.

    `USAGE` is also what typer ends with when it does not understand the command line.
    """

    FINE = 0
    OTHER = 1
    USAGE = 2
    REFUSED = 3
    NOT_ALLOWED = 4
    NOT_FOUND = 5
    UNAVAILABLE = 6
    JOB_ENDED = 7
    INCOMPLETE = 8
    INTERRUPTED = 130


_CODES: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
    ((BadRequest, Conflict), ExitCode.REFUSED),
    ((NotAllowed,), ExitCode.NOT_ALLOWED),
    ((NotFound,), ExitCode.NOT_FOUND),
    ((RateLimited, Unavailable, UpstreamFailed, ConnectionLost, ServerError), ExitCode.UNAVAILABLE),
    ((JobEnded,), ExitCode.JOB_ENDED),
    ((ValueError,), ExitCode.USAGE),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the status that an error ends a command with."""
    for kinds, code in _CODES:
        if isinstance(error, kinds):
            return code
    return ExitCode.OTHER


def complain(text: str) -> None:
    """Say something on standard error."""
    sys.stderr.write(f"bv: {text}\n")


@contextmanager
def told() -> Iterator[None]:
    """
    Turn what goes wrong inside into a message and a status; stale data are told and incomplete.

    Raises:
        SystemExit: something went wrong.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StaleData)
            yield
    except KeyboardInterrupt:
        complain("interrupted")
        raise SystemExit(ExitCode.INTERRUPTED) from None
    except (BuildingVitalsError, ValueError, OSError, ModuleNotFoundError) as error:
        complain(str(error))
        raise SystemExit(exit_code_of(error)) from None
    stale = [str(each.message) for each in caught if issubclass(each.category, StaleData)]
    for message in stale:
        complain(message)
    if stale:
        raise SystemExit(ExitCode.INCOMPLETE)
