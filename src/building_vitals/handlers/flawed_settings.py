"""What a Worker answers whose vars or secrets are not allowed: what is wrong, and nothing else."""

from __future__ import annotations

from building_vitals.adapters import Log
from building_vitals.api.messages import NO_STORE, HttpRequest, Reply, json_reply
from building_vitals.errors import Misconfigured
from building_vitals.handlers.fetch import complete, problem_reply
from building_vitals.maintenance.health_documents import unset_health
from building_vitals.settings import SettingsError

HEALTH_PATH = "/api/health"


def answer_flawed(request: HttpRequest, error: SettingsError, log: Log, now_ms: int) -> Reply:
    """
    Return the reply to any request: a 503 that names all that is refused.

    Strangers read it, so it has what is allowed and not the values.
    """
    if request.path == HEALTH_PATH:
        names = [each.name for each in error.refusals]
        reply = json_reply(unset_health(names, now_ms), 503, NO_STORE)
    else:
        told = "; ".join(f"{each.name} {each.allowed}{each.meant}" for each in error.refusals)
        reply = problem_reply(
            Misconfigured(f"the Worker is not set up correctly: {told}; its log shows the values"),
            request,
        )
    complete(reply, request)
    log(
        "request",
        requestId=request.request_id,
        method=request.method,
        path=request.path,
        status=reply.status,
        durationMs=max(0, now_ms - request.started_ms),
        **request.facts.log_fields(),
    )
    return reply
