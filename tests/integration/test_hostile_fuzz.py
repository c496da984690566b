"""Thousands of requests that no sane client sends; the seed is fixed, FUZZ_SEED takes another."""

from __future__ import annotations

import os
import uuid

from fakes.upstream import TIMESERIES, FakeUpstream
from integration.harness.fuzzing import DAY_MS, START_MS, Ground, is_readable_log, send_all
from integration.harness.worker_server import WorkerServer

REQUESTS = 1000
HEAP_GROWTH_MAX = 24 * 1024 * 1024
SEED = int(os.environ.get("FUZZ_SEED", "20251"))


def fuzz_ground(upstream: FakeUpstream) -> Ground:
    """Make a site that works and one whose upstream always fails."""
    site, faulty = (f"fuzz-{uuid.uuid4().hex[:8]}" for _ in range(2))
    points = upstream.add_generated(
        site, start_ms=START_MS, end_ms=START_MS + 5 * DAY_MS, points=4, interval_s=900
    )
    upstream.add_generated(faulty, start_ms=START_MS, end_ms=START_MS + DAY_MS, names=points)
    upstream.faults.always(faulty, "404", on=("site",))
    upstream.faults.always(faulty, "400", on=(*TIMESERIES, "configured_points"))
    return Ground(site, points, faulty)


def test_fuzzed_requests_do_no_harm(worker: WorkerServer, upstream: FakeUpstream) -> None:
    """Each gets a right answer or a clear refusal; the log stays readable, memory bounded."""
    findings = send_all(worker.url, fuzz_ground(upstream), count=REQUESTS, seed=SEED)
    assert [] == findings.wrong, f"seed {SEED}"
    assert [] == is_readable_log(worker.log)
    assert {200, 400, 404, 405} <= set(findings.statuses)
    assert 0 < findings.heap_bytes[0]
    assert findings.heap_growth_bytes <= HEAP_GROWTH_MAX
