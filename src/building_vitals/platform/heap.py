"""
How much memory Python has taken so far.

Separate because it looks inside Pyodide; only a local run that asks for it (DEV_METRICS) calls it.
"""

from __future__ import annotations


def heap_bytes() -> int:
    """Return the size of the WebAssembly memory; it never shrinks, so this is also its peak."""
    import pyodide_js  # type: ignore[import-not-found]  # noqa: PLC0415 - the runtime has it

    return int(pyodide_js._module.HEAPU8.length)
