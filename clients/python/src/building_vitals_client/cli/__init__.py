"""The command `bv`; needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command."""
    try:
        import typer  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError:
        sys.exit("bv: install building-vitals-client[cli]")
    from building_vitals_client.cli.app import app  # noqa: PLC0415 - an extra

    app()
