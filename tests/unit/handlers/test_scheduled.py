"""The cron handler: one log line, and nothing raised."""

from __future__ import annotations

from building_vitals.handlers.scheduled import run
from fakes.virtual_time import in_virtual_time
from fakes.world import World


class Broken:
    """A maintenance run that does not come to its steps."""

    async def run(self) -> None:
        """Fail."""
        raise LookupError("unforeseen")


@in_virtual_time
async def test_a_run_is_one_line() -> None:
    """Which cron, how long, and what each step has done."""
    async with World() as world:
        await run("*/5 * * * *", world.app)
        [line] = world.lines
        assert ("scheduled", "*/5 * * * *") == (line["event"], line["cron"])
        again = (await world.app.maintenance.run()).steps
        assert [step.name for step in again] == [step["name"] for step in line["steps"]]
        assert 0 == line["durationMs"]


@in_virtual_time
async def test_a_run_that_fails_is_one_line_too() -> None:
    """The next run is due anyway: the traceback goes to the log, and the runtime hears nothing."""
    async with World() as world:
        vars(world.app)["maintenance"] = Broken()
        await run("*/5 * * * *", world.app)
        [line] = world.lines
        assert ("fault", "scheduled") == (line["event"], line["where"])
        assert line["detail"].endswith("LookupError: unforeseen\n")
