"""
The data that an isolate keeps between invocations.

They are plain Python: a JavaScript object belongs to its invocation and must not outlive it (only
arrays of bytes may, `web._sealed_array`), and none may exist when a deployment takes its snapshot.
An isolate may end at any time, so nothing here is the only copy of the truth.
"""

from __future__ import annotations

from building_vitals.access.allowance import AllowanceMemory
from building_vitals.access.key_access import KeyMemory
from building_vitals.access.streams import OpenStreams
from building_vitals.access.waits import OpenWaits
from building_vitals.answers.bypass_limit import BypassLimit
from building_vitals.answers.recent import RecentAnswers
from building_vitals.answers.stream_limit import StreamLimit
from building_vitals.blocks.memory import DirectoryMemory
from building_vitals.cache.accesses import AccessMemory
from building_vitals.cache.failures import Failures
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.twins import Twins
from building_vitals.cache.waiting import Waiting
from building_vitals.follow.memory import FollowMemory
from building_vitals.maintenance.health_documents import HealthMemory
from building_vitals.maintenance.overdue import LastLook
from building_vitals.memory import MemoryBudget
from building_vitals.settings import Settings
from building_vitals.statistics.recorder import Outbox
from building_vitals.upstream.ace.fetch_report import UpstreamState
from building_vitals.upstream.gate import Grant
from building_vitals.upstream.point_names import PointNames
from building_vitals.upstream.profiles import ProfileMemory


class Isolate:
    """
    The data that one invocation leaves for the next.

    Attributes:
        settings: Read once, because vars change only with a deployment; None until then.
        look_ups: Answers of the index, remembered for a second.
        directories: Parts of blocks that say where samples lie.
        accesses: When the access of objects was last noted.
        recent: The latest answers to clients.
        bypasses: Requests that go past the cache.
        answer_streams: Large answers that are being sent.
        keys: API keys, as the database had them.
        allowances: What of each key's allowance is in use.
        streams: The event streams that are open, by key.
        waits: The requests that wait for their jobs, by key.
        health: What was found when the health was last looked at.
        memory: What requests hold of the isolate's memory.
        waiting: Needs that wait for another request's fetch.
        failures: Fetches that failed some seconds ago.
        twins: Direct fetches that are under way.
        outbox: Requests that wait to be recorded.
        grant, queued_grant: Upstream requests that may still be sent, for requests and for jobs.
        profiles: What has been learned of the upstream's sites.
        point_names: Names of the sites' points, as last read.
        upstream: What has been seen of the upstream.
        last_look: When it was last looked whether maintenance is overdue.
        told: Faults that the log has already: one line for each is enough.
        follows: Which sites are followed, as read some seconds ago.
        leveling: Sites of which levels are being made, and until when at the most.
        resting: Sites whose segments can't be joined for now, and until when nobody tries.
    """

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.look_ups = LookUps()
        self.directories = DirectoryMemory()
        self.accesses = AccessMemory()
        self.recent = RecentAnswers(self.look_ups)
        self.bypasses = BypassLimit()
        self.answer_streams = StreamLimit()
        self.keys = KeyMemory()
        self.allowances = AllowanceMemory()
        self.streams = OpenStreams()
        self.waits = OpenWaits()
        self.health = HealthMemory()
        self.memory = MemoryBudget()
        self.waiting = Waiting()
        self.failures = Failures()
        self.twins = Twins()
        self.outbox = Outbox()
        self.grant = Grant()
        self.queued_grant = Grant()
        self.profiles = ProfileMemory()
        self.point_names = PointNames()
        self.upstream = UpstreamState()
        self.last_look = LastLook()
        self.told: set[str] = set()
        self.follows = FollowMemory()
        self.leveling: dict[str, int] = {}
        self.resting: dict[str, int] = {}
