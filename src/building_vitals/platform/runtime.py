"""Where the runtime's events enter: each gets its services, its handler, a last resort."""

from __future__ import annotations

from typing import Any

import msgspec

from building_vitals.api.cors import SECURITY_HEADERS
from building_vitals.api.messages import Reply
from building_vitals.api.problem import INTERNAL_STATUS, PROBLEM_CONTENT_TYPE, problem_document
from building_vitals.handlers import fetch
from building_vitals.handlers.flawed_settings import answer_flawed
from building_vitals.platform.bindings import ISOLATE, make_app, new_id
from building_vitals.platform.heap import heap_bytes
from building_vitals.platform.http import RuntimeClock
from building_vitals.platform.log import log_fault, write_line
from building_vitals.platform.queues import QueueMessage
from building_vitals.platform.web import RequestBody, read_request, write_response
from building_vitals.settings import SettingsError


async def serve_request(request: Any, env: Any, ctx: Any) -> Any:
    """Return the runtime's response to a request of the runtime."""
    raw = request.js_object
    try:
        return await _serve(raw, env, ctx)
    except Exception as error:
        # Nobody else would answer: the runtime's own page tells of the inside, or of nothing.
        log_fault("runtime", error)
        return write_response(_unexpected(), "GET", ctx.waitUntil)


async def _serve(raw: Any, env: Any, ctx: Any) -> Any:
    """Return the response; what is raised is a fault of the code between runtime and handlers."""
    body, clock = RequestBody(raw), RuntimeClock()
    request = read_request(raw, body, clock.now_ms())
    try:
        app = make_app(env, ctx.waitUntil, clock)
    except SettingsError as error:
        _tell(error)
        reply = answer_flawed(request, error, write_line, RuntimeClock().now_ms())
        await body.drop()
        return write_response(reply, request.method, ctx.waitUntil)
    reply = await fetch.answer(request, app)
    app.overdue_maintenance.look_later()
    await body.drop()
    if app.settings.shows_heap:
        reply.headers.append(("X-Heap-Bytes", str(heap_bytes())))
    return write_response(reply, request.method, ctx.waitUntil)


def _tell(error: SettingsError) -> None:
    """Log what is wrong with the settings, once in each isolate: each request says so again."""
    if "settings" not in ISOLATE.told:
        ISOLATE.told.add("settings")
        write_line("fault", where="settings", detail=str(error))


def _unexpected() -> Reply:
    document = problem_document(RuntimeError(), new_id())
    return Reply(
        status=INTERNAL_STATUS,
        headers=[("Content-Type", PROBLEM_CONTENT_TYPE), *SECURITY_HEADERS],
        body=msgspec.json.encode(document),
    )


async def consume_batch(batch: Any, env: Any, ctx: Any) -> None:
    """Deal with a batch of queue messages; nothing is raised."""
    # Here, as app.py says: an isolate that answers requests may never see a message.
    from building_vitals.handlers import queue

    messages = [QueueMessage(each) for each in batch.messages]
    try:
        app = make_app(env, ctx.waitUntil, RuntimeClock(), is_queued=True)
    except SettingsError as error:
        _tell(error)
        for message in messages:
            message.retry(queue.TROUBLE_DELAY_S)
        return
    await queue.consume(str(batch.queue), messages, app)


async def run_scheduled(controller: Any, env: Any, ctx: Any) -> None:
    """Do what the cron trigger is for; nothing is raised."""
    from building_vitals.handlers import scheduled

    try:
        app = make_app(env, ctx.waitUntil, RuntimeClock())
    except SettingsError as error:
        _tell(error)
        return
    await scheduled.run(str(controller.cron), app)
