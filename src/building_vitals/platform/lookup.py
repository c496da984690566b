"""
Bindings as the Worker has them: found by name, missing, or taken out of the SDK's wrapper.

Free of JavaScript itself, so that it runs in CPython.
"""

from __future__ import annotations

from typing import Any

from building_vitals.errors import Unavailable


def find_binding(env: Any, name: str) -> Any | None:
    """Return a binding as the SDK wraps it; None where the Worker has none of that name."""
    return getattr(env, name, None)


def require_binding(env: Any, name: str) -> Any:
    """
    Return a binding as the SDK wraps it: callers keep it, because a look-up takes a dozen
    crossings into JavaScript.

    Raises:
        Unavailable: the Worker has none of that name.
    """
    binding = find_binding(env, name)
    if binding is None:
        raise Unavailable(f"the binding {name} is missing")
    return binding


def bare(wrapped: Any) -> Any:
    """
    Return the JavaScript object in a wrapper of the SDK, or what is no wrapper as it is.

    The wrapper converts value by value and knows fewer options. `_binding` is private, but the only
    way (workers-runtime-sdk 1.9.5).
    """
    return getattr(wrapped, "_binding", wrapped)
