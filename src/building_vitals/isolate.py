"""
What lives as long as the isolate: plain data.

JavaScript objects belong to the invocation they came with and must not outlive it, arrays of bytes
excepted (`web._sealed_array`), and none may be there when a deployment takes its snapshot. Nor may
anything here be the only copy of the truth.
"""

from __future__ import annotations

from building_vitals.access.key_access import KeyMemory
from building_vitals.answers.recent import RecentAnswers
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.waiting import Waiting
from building_vitals.settings import Settings
from building_vitals.statistics.recorder import Outbox
from building_vitals.upstream.gate import Grant


class Isolate:
    """
    What one invocation leaves for the next.

    Attributes:
        settings: Read once, because vars change only with a deployment; None until then.
        look_ups: What the index said a moment ago.
        recent: Answers given a moment ago.
        keys: What the database said of API keys.
        waiting: Requests that wait for another's fetch.
        outbox: Requests that wait to be recorded.
        grant, queued_grant: What is left of the upstream quota, for requests and for jobs.
        told: Faults that the log has been told of: one line for each is enough.
    """

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.look_ups = LookUps()
        self.recent = RecentAnswers(self.look_ups)
        self.keys = KeyMemory()
        self.waiting = Waiting()
        self.outbox = Outbox()
        self.grant = Grant()
        self.queued_grant = Grant()
        self.told: set[str] = set()
