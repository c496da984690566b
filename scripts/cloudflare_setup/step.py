"""What a step is, how steps are run, and how they are shown without running them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudflare_setup.commands import Command
from devtools.console import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """
    Files that the set-up reads and writes.

    Attributes:
        wrangler_toml: Gets the database's id.
        migrations: Folder of migrations; without one schema.sql is applied.
        key_file: Gets the first API key.
    """

    wrangler_toml: Path
    migrations: Path
    key_file: Path

    @property
    def has_migrations(self) -> bool:
        """Whether there are migrations to apply."""
        return any(self.migrations.glob("*.sql"))


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step.

    Attributes:
        title: What it is about.
        commands: All that it may run, in order; what needs no command is a plain line.
        run: Does it.
    """

    title: str
    commands: tuple[Command | str, ...]
    run: Callable[[], None]


def run_steps(steps: Sequence[Step]) -> None:
    """
    Run steps one after the other.

    Raises:
        StepFailed: One failed; those after it have not been run.
    """
    for number, step in enumerate(steps, 1):
        say(f"- {number}/{len(steps)} {step.title}")
        step.run()


def plan_lines(steps: Sequence[Step]) -> list[str]:
    """Return what the steps would run, as lines to show."""
    lines: list[str] = []
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. {step.title}")
        lines += [
            f"     {each if isinstance(each, str) else each.shown()}" for each in step.commands
        ]
    return lines


def tell_made(name: str, is_new: bool) -> None:
    """Say whether something was made or had been there."""
    say(f"  {'made' if is_new else 'exists'}: {name}")


def tell_deleted(name: str, is_deleted: bool) -> None:
    """Say whether something was deleted or was not there."""
    say(f"  {'deleted' if is_deleted else 'was not there'}: {name}")
