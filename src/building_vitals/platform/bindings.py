"""Builds the `Platform` of one invocation from the Worker's bindings."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from building_vitals.adapters import Platform
from building_vitals.app import App
from building_vitals.isolate import Isolate
from building_vitals.maintenance.health_documents import VERSION
from building_vitals.platform.analytics_engine import AnalyticsEngine
from building_vitals.platform.compression import Brotli
from building_vitals.platform.d1 import D1Database
from building_vitals.platform.http import RuntimeClock, RuntimeHttp
from building_vitals.platform.log import hide, log_fault, write_line
from building_vitals.platform.lookup import find_binding
from building_vitals.platform.metrics import send_metrics
from building_vitals.platform.queues import BINDINGS, QueueSender
from building_vitals.platform.r2 import R2Objects
from building_vitals.platform.rate_limits import BoundRateLimiter
from building_vitals.ports import Invocation
from building_vitals.settings import Settings, read_settings

ISOLATE = Isolate()


def new_id() -> str:
    """Return a random identity."""
    return uuid.uuid4().hex


def make_app(
    env: Any, wait_until: Callable[[Any], None], clock: RuntimeClock, *, is_queued: bool = False
) -> App:
    """
    Return the services of one invocation.

    Args:
        env: The Worker's bindings and vars.
        wait_until: Keeps a coroutine running after the answer.
        clock: The invocation's.
        is_queued: Whether the work is that of jobs, for which nobody waits.

    Raises:
        SettingsError: a var has a value it can't have.
    """
    settings = _settings_of(env)
    return App(_platform(env, wait_until, clock), ISOLATE, settings, is_queued=is_queued)


def _settings_of(env: Any) -> Settings:
    settings = ISOLATE.settings
    if settings is None:
        settings = ISOLATE.settings = read_settings(env)
        hide(settings.upstream.token)
        # Once in each isolate, so that a Worker that lets everybody in cannot do so unnoticed.
        write_line(
            "start",
            version=VERSION,
            authMode=settings.auth_mode,
            corsOrigins=settings.cors_origins,
        )
    return settings


def _platform(env: Any, wait_until: Callable[[Any], None], clock: RuntimeClock) -> Platform:
    invocation = Invocation(clock=clock, run_later=wait_until, on_fault=log_fault, new_id=new_id)
    return Platform(
        invocation=invocation,
        database=D1Database(env, "DB"),
        objects=R2Objects(env, "TIMESERIES_CACHE"),
        queues=QueueSender(env),
        http=RuntimeHttp(),
        read_limit=BoundRateLimiter(env, "READ_LIMIT", ISOLATE.told),
        job_limit=BoundRateLimiter(env, "JOB_LIMIT", ISOLATE.told),
        metrics=AnalyticsEngine(partial(find_binding, env, "ANALYTICS"), send_metrics),
        compressor=Brotli(),
        log=write_line,
        statistics=None if find_binding(env, "STATS_DB") is None else D1Database(env, "STATS_DB"),
        missing_queues=lambda: [
            name for name in BINDINGS.values() if find_binding(env, name) is None
        ],
    )
