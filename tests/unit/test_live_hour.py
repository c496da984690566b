"""An hour of live charts in virtual time: samples that come late are found in time, and stay."""

from __future__ import annotations

import pytest

from building_vitals.cache.options import CacheOptions
from building_vitals.ranges import Range
from fakes.history import History
from fakes.live_hour import (
    HOUR_MS,
    LATENESS_MS,
    MIN_REFETCH_MS,
    MINUTE_MS,
    RATIO,
    RELOADS_MS,
    SECOND_MS,
    SHOWN_MS,
    STEP_MS,
    Reload,
    described,
    distinct_times,
    faults_of,
    late_ms,
    unseen_ms,
)
from fakes.virtual_time import EPOCH_MS, in_virtual_time
from fakes.world import World

RULE = CacheOptions(
    trust_ratio=RATIO, lateness=LATENESS_MS // SECOND_MS, min_refetch=MIN_REFETCH_MS // SECOND_MS
)
# Since when the upstream has each sample, by its time.
THERE_MS = {
    at_ms: at_ms + late_ms(at_ms)
    for at_ms in range(EPOCH_MS - 2 * SHOWN_MS, EPOCH_MS + HOUR_MS, STEP_MS)
}


class LateHistory(History):
    """An upstream whose samples come late."""

    def times(self, point: str, time_range: Range) -> range | list[int]:  # type: ignore[override]
        """Return the times of the samples that have come."""
        now_ms = self._clock.now_ms()
        first_ms = -(-time_range.start_ms // STEP_MS) * STEP_MS
        times = range(first_ms, time_range.end_ms, STEP_MS)
        return [at_ms for at_ms in times if at_ms + late_ms(at_ms) <= now_ms]


async def watched(world: World, every_ms: int) -> list[Reload]:
    """Return the answers of an hour; of a chart that reloads often, in one minute of six."""
    found = []
    while (now_ms := world.clock.now_ms()) < EPOCH_MS + HOUR_MS:
        minute = (now_ms - EPOCH_MS) // MINUTE_MS
        if every_ms < MINUTE_MS and minute % 6:
            await world.clock.sleep(MINUTE_MS)
            continue
        got = await world.ask(["p"], Range(now_ms - SHOWN_MS, now_ms))
        found.append(Reload(now_ms, frozenset(at_ms for at_ms, _ in got.samples["p"])))
        await world.clock.sleep(now_ms + every_ms - world.clock.now_ms())
    await world.settle()
    return found


@pytest.mark.parametrize("every_ms", RELOADS_MS)
@in_virtual_time
async def test_late_samples_are_seen_within_the_bound(every_ms: int) -> None:
    """None is later than the rule says, none is lost, and few requests are made for that."""
    async with World(cache=RULE, history=LateHistory, interval_ms=STEP_MS) as world:
        reloads = await watched(world, every_ms)
        requests, samples = world.upstream.requests, world.upstream.samples_sent
        print(  # noqa: T201 - what it costs
            f"{described(reloads, THERE_MS, every_ms)}; {requests} upstream requests,"
            f" {samples} samples for {distinct_times(reloads)} distinct"
        )
        faults = faults_of(reloads, THERE_MS)
        assert [] == faults[:3]
        counts = [len(found) for found in unseen_ms(reloads, THERE_MS).values()]
        assert min(counts) >= 10, "too few to tell"
        assert requests <= min(len(reloads), HOUR_MS // MIN_REFETCH_MS) * 1.2


@pytest.mark.parametrize("broken", [{"trust_ratio": 8.0}, {"min_refetch": 40}])
@in_virtual_time
async def test_who_trusts_longer_is_found_out(broken: dict[str, float]) -> None:
    """The look for faults finds those of another rule."""
    options = {"trust_ratio": RATIO, "lateness": LATENESS_MS // SECOND_MS, **broken}
    async with World(
        cache=CacheOptions(**options),  # type: ignore[arg-type]
        history=LateHistory,
        interval_ms=STEP_MS,
    ) as world:
        faults = faults_of(await watched(world, 2000), THERE_MS)
        is_found_out = any("not found" in each for each in faults)
        assert is_found_out


def test_what_was_seen_and_is_gone_is_found_out() -> None:
    """An answer without a sample that an earlier one had."""
    [at_ms] = [each for each in THERE_MS if each == EPOCH_MS - HOUR_MS]
    reloads = [Reload(EPOCH_MS, frozenset({at_ms})), Reload(EPOCH_MS + 1, frozenset())]
    assert any("lost" in each for each in faults_of(reloads, THERE_MS))
    assert not any("lost" in each for each in faults_of(reloads[:1], THERE_MS))
