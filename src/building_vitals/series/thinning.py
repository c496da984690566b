"""
Fewer samples of a point that may have any number of them: some at a time, few of them held.

Separate from the levels themselves, because it is about memory: ten years of one point go through
here for a chart of a thousand samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from building_vitals.series.downsample import choose
from building_vitals.series.levels import (
    Columns,
    bucket_start,
    columns_of,
    level_name,
    next_width,
    thin,
)

# Samples of a run that `texts` gives.
RUN_SAMPLES = 2_048


class PointThinning:
    """
    The samples of one point, of which at most *max_points* will be left.

    They are those of the finest level that fits: as soon as the buckets that have ended have more,
    they become wider. Where not even a single bucket of all samples fits, `downsample.choose`
    takes as many of its samples as do.
    """

    def __init__(self, max_points: int, width_ms: int = 0) -> None:
        """
        Args:
            max_points: 2 or more.
            width_ms: Of the level that the samples come from: a finer one is known not to fit.
        """
        self._max_points = max_points
        self._width_ms = width_ms
        self._held = Columns([], [], [])

    @property
    def level(self) -> str:
        """What answers call the width of the buckets."""
        return level_name(self._width_ms)

    @property
    def times(self) -> list[int]:
        """The instants of what is held: at the end, of what is left."""
        return self._held.times

    def add(self, text: bytes) -> None:
        """
        Take a run of samples, later than those before.

        Args:
            text: As frames hold it, not empty.

        Raises:
            CorruptSegment: the text is not a run of samples.
        """
        columns = columns_of(text)
        first_ms = columns.times[0]
        self._held.extend(columns)
        if self._width_ms:
            self._thin(bucket_start(first_ms, self._width_ms))
        while self._ended() > self._max_points and not self._is_widest():
            self._widen()

    def _ended(self) -> int:
        """Return how many samples are held of buckets to which nothing can be added."""
        times = self.times
        if not self._width_ms or not times:
            return len(times)
        return bisect_left(times, bucket_start(times[-1], self._width_ms))

    def _widen(self) -> None:
        self._width_ms = next_width(self._width_ms)
        self._thin(self.times[0])

    def _thin(self, since_ms: int) -> None:
        """Let go of samples since an instant that no bucket needs."""
        times, _, values = self._held
        begin = bisect_left(times, since_ms)
        kept = thin(times, values, self._width_ms, begin)
        if len(kept) < len(times) - begin:
            tail = self._held.picked(kept)
            self._held = self._held.part(0, begin)
            self._held.extend(tail)

    def choose(self) -> int:
        """Choose from all that has been taken; return how many are left."""
        while len(self.times) > self._max_points:
            if self._is_widest():
                self._held = self._held.picked(
                    choose(self.times, self._held.values, self._max_points)
                )
                break
            self._widen()
        return len(self.times)

    def _is_widest(self) -> bool:
        """Return whether wider buckets keep the same: there is one, or one on each side of 1970."""
        first_ms, last_ms, width_ms = self.times[0], self.times[-1], self._width_ms
        if not width_ms:
            return False
        is_one = bucket_start(first_ms, width_ms) == bucket_start(last_ms, width_ms)
        return is_one or width_ms > max(abs(first_ms), abs(last_ms))

    def texts(self) -> Iterator[tuple[int, bytes]]:
        """Yield what has been chosen as runs, digits unchanged, each with its count."""
        for start in range(0, len(self.times), RUN_SAMPLES):
            part = self._held.part(start, start + RUN_SAMPLES)
            yield len(part.times), part.text()
