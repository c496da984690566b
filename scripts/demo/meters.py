"""
CSV files of meter readings as the points of a site.

Values are passed on exactly as the file writes them, so that a comparison with the file can be
exact to the last digit.
"""

import csv
import gzip
import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from demo.instants import SECOND_MS, parse_ms
from demo.items import point_item, site_item
from demo.sources import Item, ListedSource

SITE = "meters"


class MeterFileError(Exception):
    """A file that cannot be read as a time and a value per line."""


def read_meter(path: Path) -> list[tuple[int, str]]:
    """
    Return the (epoch ms, text of the value) of each line.

    The last two columns are time and value; an index column in front is skipped. Times without
    offset are UTC.

    Raises:
        MeterFileError: The file is missing or holds something else.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
                return _samples(path, csv.reader(file))
        with path.open(newline="", encoding="utf-8") as file:
            return _samples(path, csv.reader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as exc:
        raise MeterFileError(f"meter file cannot be read: {path}; {exc}") from exc


def _samples(path: Path, rows: Iterable[list[str]]) -> list[tuple[int, str]]:
    samples = []
    for number, row in enumerate(rows, start=1):
        if number == 1 or not row:
            continue
        try:
            time, value = row[-2:]
            samples.append((parse_ms(time), value))
        except ValueError as exc:
            raise MeterFileError(
                f"meter file is malformed: {path} line {number}; want a time and a value"
            ) from exc
    return samples


def meter_name(path: Path) -> str:
    """Return the point's name for a file: the file's, without .csv or .csv.gz."""
    return re.sub(r"\.csv(\.gz)?$", "", path.name)


def _interval_s(samples: list[tuple[int, str]]) -> int:
    """Return the commonest step between samples, seconds; an hour where there is none."""
    steps = [after[0] - before[0] for before, after in pairwise(samples)]
    return max(set(steps), key=steps.count) // SECOND_MS if steps else 3600


def meter_site(paths: Iterable[Path], number: int) -> tuple[Item, ListedSource]:
    """
    Return the site `meters` with one point per file; an empty value is null.

    Raises:
        MeterFileError: A file cannot be read, or two have the same name.
    """
    site = site_item(number, SITE, client="demo", nice_name="Meter files")
    points: list[Item] = []
    texts: dict[str, list[tuple[int, str]]] = {}
    for index, path in enumerate(paths, start=1):
        name = meter_name(path)
        if name in texts:
            raise MeterFileError(f"meter files have the same name: {path}; names must differ")
        samples = read_meter(path)
        texts[name] = [(ms, json.dumps(value) if value else "null") for ms, value in samples]
        points.append(
            point_item(
                index,
                name,
                site,
                interval_s=_interval_s(samples),
                point_type="csv",
                marker_tags=["point", "his"],
                kv_tags={"file": path.name},
            )
        )
    return site, ListedSource(points, texts)
