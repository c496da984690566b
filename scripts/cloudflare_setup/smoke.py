"""Asks the deployed Worker whether it is well, until it answers or time runs out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from devtools.console import StepFailed

SERVICE = "building-vitals"
HEALTH_PATH = "/api/health"
# A new address takes a minute to be known everywhere, a first start of Python some seconds.
READY_SECONDS = 180.0
REQUEST_SECONDS = 30.0
PAUSE_SECONDS = 2.0
BODY_BYTES_MAX = 65_536

Ask = Callable[[str], tuple[int, bytes]]


def ask(url: str) -> tuple[int, bytes]:
    """
    Return the status and the beginning of the body of a GET.

    Raises:
        OSError: Nobody answers.
    """
    if not url.startswith(("https://", "http://")):
        raise StepFailed(f"not an address of a Worker: {url}")
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    try:
        with urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310 - likewise
            return answer.status, answer.read(BODY_BYTES_MAX)
    except HTTPError as error:
        with error:
            return error.code, error.read(BODY_BYTES_MAX)


def await_health(
    address: str,
    *,
    ask: Ask = ask,
    seconds: float = READY_SECONDS,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """
    Return the health document once the Worker at *address* answers with one.

    Raises:
        StepFailed: It does not within *seconds*, or it says that it is not well.
    """
    url = address.rstrip("/") + HEALTH_PATH
    deadline = clock() + seconds
    while True:
        try:
            status, body = ask(url)
            document = _document(body)
            said = f"status {status}"
        except (URLError, OSError) as error:
            document, said = None, str(error)
        if document is not None:
            if document["status"] == "healthy":
                return document
            said = f"degraded: {json.dumps(document.get('checks'))}"
        if clock() >= deadline:
            raise StepFailed(f"{url} is not healthy after {seconds:.0f} s: {said}")
        pause(PAUSE_SECONDS)


def _document(body: bytes) -> dict[str, Any] | None:
    """Return the body as our health document, None when it is somebody else's."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict) or document.get("service") != SERVICE:
        return None
    return document if isinstance(document.get("status"), str) else None
