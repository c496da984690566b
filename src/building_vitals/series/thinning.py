"""
Fewer samples of a point that may have any number of them: some at a time, few of them held.

Separate from the choice itself, because it is about memory: ten years of one point go through here
for a chart of a thousand samples.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from building_vitals.series.downsample import SAMPLES_PER_BUCKET, choose, thin
from building_vitals.series.sample_text import decode_samples, decode_values

# Samples that are held to choose from, beside the half more than are wanted: some 100 bytes each.
HELD_MIN = 8_192
HELD_SHARE = 1.5
# Samples of a run that `texts` gives.
RUN_SAMPLES = 2_048


class PointThinning:
    """
    The samples of one point, of which at most *max_points* will be chosen.

    As long as there are few, all of them are held. Beyond that, those that no bucket of some width
    needs (`downsample.thin`) are let go of; when too many are left, buckets become twice as wide.
    The buckets stay narrower than those of the final choice. The point's first and last sample and
    its smallest and largest number are always among those held.
    """

    def __init__(self, max_points: int) -> None:
        self._max_points = max_points
        self._held_max = max(HELD_MIN, int(max_points * HELD_SHARE))
        self._width_ms = 0
        self._times: list[int] = []
        self._raws: list[bytes] = []
        self._values: list[Any] = []

    def add(self, text: bytes) -> None:
        """
        Take a run of samples, later than those before.

        Args:
            text: As frames hold it, not empty.

        Raises:
            CorruptSegment: the text is not a run of samples.
        """
        first = len(self._times)
        times, raws, values = _columns(text)
        self._times += times
        self._raws += raws
        self._values += values
        if self._width_ms:
            # The last bucket may go on in this run.
            begin_ms = times[0] - times[0] % self._width_ms
            self._thin(bisect_left(self._times, begin_ms, 0, first))
        while len(self._times) > self._held_max:
            self._width_ms = 2 * self._width_ms or self._first_width_ms()
            self._thin(0)

    def _first_width_ms(self) -> int:
        """Return a width of which as many buckets as numbers fill hold no more than may be held."""
        span_ms = self._times[-1] - self._times[0]
        return int(1 << (span_ms * SAMPLES_PER_BUCKET // self._held_max).bit_length())

    def _thin(self, begin: int) -> None:
        """Let go of samples from *begin* on that no bucket needs."""
        # A change of state shows only beside the sample before it.
        before = max(begin - 1, 0)
        kept = [
            before + i
            for i in thin(
                self._times[before:], self._values[before:], begin - before, self._width_ms
            )
        ]
        self._times[begin:] = [self._times[i] for i in kept]
        self._raws[begin:] = [self._raws[i] for i in kept]
        self._values[begin:] = [self._values[i] for i in kept]

    def choose(self) -> int:
        """Choose from all that has been taken; return how many are left."""
        if len(self._times) > self._max_points:
            kept = choose(self._times, self._values, self._max_points)
            self._times = [self._times[i] for i in kept]
            self._raws = [self._raws[i] for i in kept]
        self._values = []
        return len(self._times)

    def texts(self) -> Iterator[bytes]:
        """Yield what has been chosen as runs, digits unchanged."""
        for start in range(0, len(self._times), RUN_SAMPLES):
            stop = start + RUN_SAMPLES
            pairs = zip(self._times[start:stop], self._raws[start:stop], strict=True)
            yield b",".join([b"[%d,%b]" % pair for pair in pairs])


def _columns(text: bytes) -> tuple[list[int], list[bytes], list[Any]]:
    """Return the times, the JSON texts of the values, and the values of a run of samples."""
    if b'"' not in text and b"{" not in text:
        flat = text[1:-1].replace(b"],[", b",")
        if b"[" not in flat:
            # Numbers, booleans and null: they hold nothing that the text is split at.
            parts = flat.split(b",")
            return list(map(int, parts[::2])), parts[1::2], decode_values(parts[1::2])
    samples = decode_samples(text)
    return (
        [time_ms for time_ms, _ in samples],
        [bytes(raw) for _, raw in samples],
        decode_values([raw for _, raw in samples]),
    )
