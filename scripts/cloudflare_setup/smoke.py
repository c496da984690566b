"""Asks the deployed Worker whether it is well, until it is or time runs out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from devtools.console import StepFailed

# A new address takes a minute to be known everywhere, a first start of Python some seconds.
TRIES = 90
PAUSE_SECONDS = 2.0
REQUEST_SECONDS = 30.0
BODY_BYTES_MAX = 65_536


def ask(url: str) -> tuple[int, bytes]:
    """
    Return the status and the beginning of the body of a GET.

    Raises:
        OSError: Nobody answers.
    """
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked below
    try:
        with urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310 - checked below
            return answer.status, answer.read(BODY_BYTES_MAX)
    except HTTPError as error:
        with error:
            return error.code, error.read(BODY_BYTES_MAX)


def await_health(
    address: str,
    *,
    ask: Callable[[str], tuple[int, bytes]] = ask,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """
    Return the version of the Worker at *address* once it says that it is healthy.

    Raises:
        StepFailed: It does not after TRIES requests; tells the last answer.
    """
    if not address.startswith(("https://", "http://")):
        raise StepFailed(f"not an address of a Worker: {address}")
    url = f"{address.rstrip('/')}/api/health"
    said = ""
    for _ in range(TRIES):
        try:
            status, body = ask(url)
            said = f"status {status}"
            document = json.loads(body)
            if document["service"] == "building-vitals":
                if document["status"] == "healthy":
                    return str(document["version"])
                said += f", checks {json.dumps(document['checks'])}"
        except OSError as error:
            said = str(error)
        except (ValueError, LookupError, TypeError):
            pass  # Somebody else's page: the address is not known everywhere yet.
        pause(PAUSE_SECONDS)
    raise StepFailed(f"{url} is not healthy after {TRIES} requests: {said}")
