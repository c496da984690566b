"""What clients are made with, and what the environment says."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from building_vitals_client.errors import StaleData
from building_vitals_client.patience import PATIENCE_S
from building_vitals_client.result import Timeseries

URL_VARIABLE = "BV_URL"
KEY_VARIABLE = "BV_KEY"
TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Options:
    """
    What both clients are made with.

    Attributes:
        url: Address of the Worker.
        key: API key; None for none.
        timeout_s: How long an answer may say nothing.
        patience_s: How long pauses between the attempts of a request may be together.
    """

    url: str
    key: str | None
    timeout_s: float = TIMEOUT_S
    patience_s: float = PATIENCE_S

    def __repr__(self) -> str:
        """Return it without the key."""
        return f"Options(url={self.url!r}, timeout_s={self.timeout_s})"

    def http_options(self) -> dict[str, Any]:
        """Return the arguments for httpx's clients."""
        headers = {"User-Agent": "building-vitals-client/1.0"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return {
            "base_url": self.url,
            "headers": headers,
            "timeout": httpx.Timeout(self.timeout_s, connect=CONNECT_TIMEOUT_S),
        }


def options_of(
    url: str | None,
    key: str | None,
    *,
    timeout_s: float,
    patience_s: float,
    environment: Mapping[str, str] = os.environ,
) -> Options:
    """
    Return the options, with what is not given from the environment.

    Raises:
        ValueError: no address is given, and BV_URL is not set.
    """
    url = url or environment.get(URL_VARIABLE)
    if not url:
        raise ValueError(f"no address: give Client(url) or set {URL_VARIABLE}")
    key = environment.get(KEY_VARIABLE) if key is None else key
    return Options(url.rstrip("/"), key or None, timeout_s, patience_s)


def warned(result: Timeseries) -> Timeseries:
    """Return a result; one that is stale is warned of."""
    if result.is_stale:
        missing = ", ".join(
            f"{start.isoformat()} to {end.isoformat()}" for start, end in result.missing
        )
        warnings.warn(
            f"the upstream failed; the answer is what was kept, without {missing or 'nothing'}",
            StaleData,
            stacklevel=3,
        )
    return result
