"""
What a fetch has cost so far, and what an isolate has seen of the upstream.

Separate from the calls that count it, so that who finds everything in the cache imports no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec


class UpstreamState(msgspec.Struct):
    """
    What an isolate has seen of the upstream; outlives the invocation.

    Attributes:
        has_worked: Whether the upstream has ever accepted the Worker's token.
    """

    has_worked: bool = False


class FetchReport(msgspec.Struct):
    """
    The cost of a fetch so far.

    Attributes:
        requests: Sent, those repeated included.
        samples_received: In all pages, surplus ones included.
        is_by_point: Whether some of it goes by calls by point, which know no sites.
        strangers: Points asked for that are not the site's.
    """

    requests: int = 0
    samples_received: int = 0
    is_by_point: bool = False
    strangers: frozenset[str] = frozenset()


OnReport = Callable[[FetchReport], Awaitable[None]]
