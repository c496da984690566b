"""The commands of `bv`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from building_vitals_client.cli import getting
from building_vitals_client.cli.outcome import complain, told
from building_vitals_client.cli.showing import print_json, print_table, shown_progress
from building_vitals_client.client import Client
from building_vitals_client.documents import Status

EPILOG = (
    "Exit status: 0 done; 2 the command line is wrong; 3 the Worker refused the request; 4 the key "
    "is missing or may not; 5 no such site, job or path; 6 the Worker or the upstream fails or is "
    "busy; 7 the job failed or was cancelled; 8 done, but data are stale or points have errors; "
    "1 anything else; 130 interrupted."
)
KEYS = """\
API keys are made where the Worker is deployed, by those who may change its database:

  python3 scripts/api_key.py create --name laptop --role reader --sites SITE[,SITE…] --remote
  python3 scripts/api_key.py list --remote
  python3 scripts/api_key.py revoke --name laptop --remote

create shows the key once. This command reads it from the environment:

  export BV_URL=https://…  BV_KEY=bv_…
"""

app = typer.Typer(
    help="Samples of buildings from a Building Vitals Worker. BV_URL is its address, BV_KEY the "
    "API key.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]
Url = Annotated[str | None, typer.Option("--url", envvar="BV_URL", help="Address of the Worker.")]


@contextmanager
def opened(url: str | None) -> Iterator[Client]:
    """Give a client; what goes wrong becomes a message and a status."""
    with told(), Client(url) as client:
        yield client


@app.command()
def sites(url: Url = None, json: Json = False) -> None:
    """List the sites that the key may read."""
    with opened(url) as client:
        found = client.sites()
        if json:
            print_json(found)
        else:
            print_table(found, _columns(found, "name", "nice_name", "description"))


@app.command()
def points(
    site: str,
    words: Annotated[
        list[str] | None, typer.Argument(help="All must occur in a point's name, unit or tags.")
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """List the points of a site."""
    with opened(url) as client:
        found = client.points(site, words or [])
        if json:
            print_json(found)
        else:
            print_table(found, _columns(found, "name", "unit", "description"))
            complain(f"{len(found):,} points")


@app.command()
def get(
    site: str,
    points: Annotated[list[str], typer.Argument(metavar="POINT...")],
    *,
    start: Annotated[str, typer.Option("--from", help="ISO 8601, or now-7d.")] = "now-7d",
    end: Annotated[str, typer.Option("--to", help="Likewise; not included.")] = "now",
    max_points: Annotated[int | None, typer.Option(help="Samples per point, at most.")] = None,
    interval: Annotated[str | None, typer.Option(help="15m, 1h, 1d, 1w, 1mo.")] = None,
    aggregate: Annotated[
        str | None,
        typer.Option(help="mean, min, max, sum, count, first, last, twa, delta; with commas."),
    ] = None,
    tz: Annotated[str | None, typer.Option(help="IANA zone that buckets begin in.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Fetch what came after a followed site's last round.")
    ] = False,
    layout: Annotated[
        Literal["long", "wide"] | None, typer.Option(help="A row per sample, or per instant.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="FILE.csv, .parquet, .ndjson, .json or .msgpack."),
    ] = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """
    Get samples: to a file, as CSV to a pipe, or the first of them to a terminal.

    A large request becomes a job, which is waited for; Ctrl-C cancels it. A file is written whole
    or not at all.
    """
    options: dict[str, Any] = {
        "max_points": max_points,
        "interval": interval,
        "aggregate": aggregate,
        "tz": tz,
        "fresh": fresh or None,
    }
    selection = getting.Selection(site, points, start, end, options, layout)
    with opened(url) as client:
        if output is not None:
            getting.check_file(output, layout)
        with shown_progress() as on_progress:
            if output is not None:
                getting.write_file(client, selection, output, on_progress)
            elif json or not sys.stdout.isatty():
                getting.write_output(client, selection, "json" if json else "csv", on_progress)
            else:
                getting.show(client, selection, on_progress)


@app.command()
def jobs(
    status: Annotated[Status | None, typer.Option(help="Only those in this state.")] = None,
    site: Annotated[str | None, typer.Option(help="Only those of a site.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    url: Url = None,
    json: Json = False,
) -> None:
    """List the key's jobs, the newest first."""
    with opened(url) as client:
        found = [
            msgspec.to_builtins(job) for job in client.jobs(status=status, site=site, limit=limit)
        ]
        if json:
            print_json(found)
        else:
            columns = ["jobId", "status", "progress", "site", "pointsCount", "samplesCount"]
            print_table(found, [*columns, "createdAt", "error"])


@app.command()
def cancel(
    job_ids: Annotated[list[str], typer.Argument(metavar="JOB...")], url: Url = None
) -> None:
    """Cancel jobs."""
    with opened(url) as client:
        for job_id in job_ids:
            client.cancel(job_id)
            complain(f"{job_id} is cancelled")


@app.command()
def stats(url: Url = None, json: Json = False) -> None:
    """Show the Worker's statistics; for administrators."""
    with opened(url) as client:
        found = client.stats()
        if json:
            print_json(found)
            return
        for name, part in found.items():
            if isinstance(part, dict):
                rows = [{"figure": key, "value": value} for key, value in part.items()]
                print_table(rows, ["figure", "value"], name)
            elif isinstance(part, list) and part:
                print_table(part, list(part[0]), name)


@app.command()
def me(url: Url = None, json: Json = False) -> None:
    """Show what the key may do."""
    with opened(url) as client:
        found = msgspec.to_builtins(client.me())
        if json:
            print_json(found)
        else:
            limits = found.pop("limits")
            rows = [{"figure": key, "value": value} for key, value in {**found, **limits}.items()]
            print_table(rows, ["figure", "value"])


@app.command()
def keys() -> None:
    """Say how API keys are made, listed and revoked."""
    typer.echo(KEYS, nl=False)


def _columns(rows: list[dict[str, Any]], *names: str) -> list[str]:
    """Return the names that any row has; the first in any case."""
    return [name for name in names if name == names[0] or any(row.get(name) for row in rows)]
