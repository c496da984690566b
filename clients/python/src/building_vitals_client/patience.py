"""How long to wait after a failure, and when to give up."""

from __future__ import annotations

from building_vitals_client.errors import BrokenDownload, BuildingVitalsError

PATIENCE_S = 60.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
# An answer that breaks each time costs the Worker as much as one that arrives.
BREAKS_MAX = 4


class Patience:
    """
    Counts the pauses of one request.

    Args:
        seconds: How much they may be together. The time that attempts take does not count.
    """

    def __init__(self, seconds: float = PATIENCE_S) -> None:
        self._left_s = seconds
        self._next_s = FIRST_PAUSE_S
        self._breaks = 0

    def pause_after(self, error: BuildingVitalsError) -> float:
        """
        Return the seconds to wait before the next attempt: what `Retry-After` says, if it does.

        Raises:
            BuildingVitalsError: *error*, if it will not pass, or not in the time that is left.
        """
        if isinstance(error, BrokenDownload):
            self._breaks += 1
        pause_s = self._next_s
        if error.retry_after_s is not None:
            # "At once" must not become a loop without a pause.
            pause_s = max(error.retry_after_s, FIRST_PAUSE_S)
        if not error.may_pass or pause_s > self._left_s or self._breaks >= BREAKS_MAX:
            raise error
        self._left_s -= pause_s
        if error.retry_after_s is None:
            self._next_s = min(2 * self._next_s, LONGEST_PAUSE_S)
        return pause_s
