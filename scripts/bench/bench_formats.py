"""
Times the writers of CSV, NDJSON and MessagePack and the choice of fewer samples, in CPython.

One JSON line per result: the best of several passes over 100,000 samples, in milliseconds. `chart`
are 20 points that share their times, as they reach the writers one after the other; `single` is one
long point; `uneven` has times of its own for each point; `text` holds a word in one of ten samples.
CPython only tells which of two ways is faster: the Worker's WebAssembly is slower throughout.
"""

from __future__ import annotations

import json
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

import msgspec

from building_vitals.answers.formats.csv_rows import csv_rows
from building_vitals.answers.formats.msgpack_rows import msgpack_rows
from building_vitals.answers.formats.ndjson_rows import ndjson_rows
from building_vitals.series.sample_text import decode_samples
from building_vitals.series.thinning import PointThinning

SAMPLES = 100_000
POINTS = 20
START_MS = 1_735_689_600_000
PASSES = 7


def make_run(seed: int, count: int, *, jitter_ms: int = 0, words: float = 0.0) -> bytes:
    """
    Return *count* samples some five minutes apart.
    """
    rng = random.Random(seed)  # noqa: S311
    parts = []
    for i in range(count):
        time_ms = START_MS + 300_000 * i + (rng.randrange(jitter_ms) if jitter_ms else 0)
        value = '"occupied"' if rng.random() < words else f"{rng.uniform(10, 90):.2f}"
        parts.append(f"[{time_ms},{value}]")
    return ",".join(parts).encode()


def thinned(text: bytes, max_points: int) -> bytes:
    """Return the text of the samples that are chosen."""
    thinning = PointThinning(max_points)
    thinning.add(text)
    thinning.choose()
    return b",".join(text for _, text in thinning.texts())


def best_ms(work: Callable[[bytes], object], texts: list[bytes]) -> float:
    """
    Return the shortest of several passes over all runs, in milliseconds.
    """
    passes = []
    for _ in range(PASSES):
        start = time.perf_counter()
        for text in texts:
            work(text)
        passes.append(time.perf_counter() - start)
    return round(min(passes) * 1000, 1)


def main() -> None:
    """
    Print the machine, then one line per result.
    """
    each = SAMPLES // POINTS
    shapes = {
        "chart": [make_run(i, each) for i in range(POINTS)],
        "single": [make_run(0, SAMPLES)],
        "uneven": [make_run(i, each, jitter_ms=60_000) for i in range(POINTS)],
        "text": [make_run(i, each, words=0.1) for i in range(POINTS)],
    }
    works: dict[str, Callable[[bytes], object]] = {
        "csv": lambda text: csv_rows("site/ahu-1/supply air", text),
        "ndjson": lambda text: ndjson_rows("site/ahu-1/supply air", text),
        "msgpack": msgpack_rows,
        "downsample to 1000": lambda text: thinned(text, 1000),
        "decode only": decode_samples,
    }
    machine = {"python": platform.python_version(), "msgspec": msgspec.__version__}
    lines = [machine | {"machine": platform.machine(), "samples": SAMPLES}]
    for shape, texts in shapes.items():
        for name, work in works.items():
            lines.append({"shape": shape, "work": name, "ms": best_ms(work, texts)})
    sys.stdout.write("".join(f"{json.dumps(line)}\n" for line in lines))


if __name__ == "__main__":
    main()
