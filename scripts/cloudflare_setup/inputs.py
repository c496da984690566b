"""What only the user can give: the upstream's token, and the Worker's name before it is deleted."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TextIO

TOKEN = "ACE_API_TOKEN"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class Inputs:
    """
    Where answers come from.

    Attributes:
        environ: Environment variables.
        stdin: Standard input.
        ask_hidden: Asks on the terminal without showing what is typed.
        ask_open: Asks on the terminal.
    """

    environ: Mapping[str, str]
    stdin: TextIO
    ask_hidden: Callable[[str], str] = getpass.getpass
    ask_open: Callable[[str], str] = input

    @property
    def given_token(self) -> str | None:
        """The token in the environment."""
        return self.environ.get(TOKEN, "").strip() or None

    def token(self) -> str | None:
        """Return the token: from the environment, from the terminal, or from standard input."""
        if self.given_token is not None:
            return self.given_token
        if self.stdin.isatty():
            text = self.ask_hidden(f"  {TOKEN} (not shown; empty to leave it out): ")
        else:
            text = self.stdin.readline()
        return text.strip() or None

    def name(self, question: str) -> str:
        """Return what is typed in answer to a question; empty at the end of the input."""
        try:
            return self.ask_open(question).strip()
        except EOFError:
            return ""


def from_terminal() -> Inputs:
    """Return the inputs of this process."""
    return Inputs(os.environ, sys.stdin)
