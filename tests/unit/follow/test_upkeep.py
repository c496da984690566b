"""Messages of follows that seem lost."""

from __future__ import annotations

from building_vitals.follow.follows_table import SiteFollows
from building_vitals.follow.upkeep import QUIET_MS, SEND_AGAIN_MS, SITES_MAX, steps
from fakes.clock import VirtualClock
from fakes.database import FakeDatabase
from fakes.queues import FakeQueues

NOW_MS = 1_767_225_600_000


async def test_whose_message_should_have_come_is_sent_another() -> None:
    """All of them in one call; the next is sent after a pause that doubles, six hours at last."""
    clock = VirtualClock(NOW_MS)
    with FakeDatabase() as database:
        queues, follows = FakeQueues(clock.now_ms), SiteFollows(database)
        [step] = steps(database, queues)
        assert ("follow", 0) == (step.name, await step.run(NOW_MS))
        for number in range(SITES_MAX + 1):
            await follows.put(f"s{number}", since_ms=0, every_ms=60_000, every="1m", now_ms=NOW_MS)
        now_ms = NOW_MS + QUIET_MS - 1
        assert 0 == await step.run(now_ms)
        assert [SITES_MAX, 1, 0] == [await step.run(now_ms + 1) for _ in range(3)]
        assert sorted(f"s{number}" for number in range(SITES_MAX + 1)) == sorted(queues.follows)
        assert [SITES_MAX + 1, 0] == [len(queues.take(each, 200)) for each in ("low", "high")]
        pauses: list[int] = []
        while len(pauses) < 10:
            before_ms = now_ms
            while not await step.run(now_ms):
                now_ms += SEND_AGAIN_MS // 5
            pauses.append((now_ms - before_ms) // SEND_AGAIN_MS)
            while await step.run(now_ms):
                pass
        assert [1, 2, 4, 8, 16, 32, 64, 72, 72, 72] == pauses
