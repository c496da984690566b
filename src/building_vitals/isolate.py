"""
What lives as long as the isolate: plain data.

JavaScript objects belong to the invocation they came with and must not outlive it, arrays of bytes
excepted (`web._sealed_array`), and none may be there when a deployment takes its snapshot. Nor may
anything here be the only copy of the truth.
"""

from __future__ import annotations

from typing import Any

from building_vitals.access.key_access import KeyMemory
from building_vitals.answers.recent import RecentAnswers
from building_vitals.cache.look_ups import LookUps
from building_vitals.cache.waiting import Waiting
from building_vitals.maintenance.health import VERSION
from building_vitals.platform.log import write_line
from building_vitals.settings import Settings, read_settings

LOOK_UPS = LookUps()
RECENT = RecentAnswers(LOOK_UPS)
KEYS = KeyMemory()
WAITING = Waiting()

_settings: list[Settings] = []


def settings_of(env: Any) -> Settings:
    """
    Return the settings; read once in each isolate, because vars change only with a deployment.

    Raises:
        SettingsError: a var has a value it can't have.
    """
    if not _settings:
        _settings.append(read_settings(env))
        # Once in each isolate, so that a Worker that lets everybody in cannot do so unnoticed.
        write_line(
            "start",
            version=VERSION,
            authMode=_settings[0].auth_mode,
            corsOrigins=_settings[0].cors_origins,
        )
    return _settings[0]
