"""The small parts: bodies, events, times, questions, options, progress."""

from __future__ import annotations

import gzip
import sys
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pytest

from building_vitals_client.bodies import Body
from building_vitals_client.documents import Job
from building_vitals_client.errors import BrokenDownload
from building_vitals_client.events import Event, EventReader
from building_vitals_client.options import options_of
from building_vitals_client.progress import Bar, Progress, progress_of
from building_vitals_client.question import question_of
from building_vitals_client.times import Time, api_time
from building_vitals_client.wire import Reply

TEXT = b'{"some": "text"}' * 100
ZIPPED = gzip.compress(TEXT)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_bodies_are_inflated_as_they_come(size: int) -> None:
    """In whatever parts they come."""
    seen: list[int] = []
    body = Body(on_bytes=seen.append)
    body.begin(Reply(200, {"content-encoding": "gzip"}))
    for start in range(0, len(ZIPPED), size):
        assert not body.feed(ZIPPED[start : start + size])
    body.close()
    assert TEXT == body.content
    assert len(ZIPPED) == seen[-1]


@pytest.mark.parametrize("cut", [1, 8, 20, len(ZIPPED) - 1])
def test_a_body_that_was_cut_is_refused(cut: int) -> None:
    """Even where only the trailer is missing, and all text has come."""
    body = Body()
    body.begin(Reply(200, {"content-encoding": "gzip"}))
    body.feed(ZIPPED[:-cut])
    with pytest.raises(BrokenDownload, match="too early"):
        body.close()


def test_a_body_that_is_spoilt_is_refused() -> None:
    """Bytes that are no gzip, and encodings that were not asked for."""
    body = Body()
    body.begin(Reply(200, {"content-encoding": "gzip"}))
    with pytest.raises(BrokenDownload, match="inflated"):
        body.feed(TEXT)
    with pytest.raises(BrokenDownload, match="br"):
        Body().begin(Reply(200, {"content-encoding": "br"}))


def test_only_a_success_is_written() -> None:
    """A file gets no problem document; that stays in memory."""
    written: list[bytes] = []

    def write(chunk: bytes) -> bool:
        written.append(chunk)
        return True

    failed, fine = Body(write), Body(write)
    failed.begin(Reply(429))
    assert not failed.feed(b"{}")
    fine.begin(Reply(200))
    assert fine.feed(b"row")
    assert ([b"row"], b"{}", b"") == (written, failed.content, fine.content)


STREAM = b"retry: 1\n\nevent: progress\ndata: {\ndata:  1}\n\n: still here\n\ndata: x\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_events_are_read_from_any_parts(end: bytes, size: int) -> None:
    """Each line's end, cut anywhere; comments and empty events are passed over."""
    found: list[Event] = []

    def take(event: Event) -> bool:
        found.append(event)
        return event.name == "message"

    stream = STREAM.replace(b"\n", end) + b"a"
    reader = EventReader(take)
    ends = [reader.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
    assert [Event("progress", "{\n 1}"), Event("message", "x")] == found
    assert any(ends)


def test_events_with_letters_of_several_bytes_survive_any_cut() -> None:
    """A character that two chunks share is read whole."""
    found: list[Event] = []

    def take(event: Event) -> bool:
        found.append(event)
        return False

    reader = EventReader(take)
    for byte in "data: Wärme\n\n".encode():
        reader.feed(bytes([byte]))
    assert [Event("message", "Wärme")] == found


LONDON = ZoneInfo("Europe/London")
TIMES: list[tuple[Time, str | None, str | int]] = [
    ("now-7d", None, "now-7d"),
    ("2025-01-01", "Europe/London", "2025-01-01"),
    (1_735_689_600_000, None, 1_735_689_600_000),
    (np.int64(1_735_689_600_000), None, 1_735_689_600_000),
    (datetime(2025, 7, 1, tzinfo=timezone.utc), None, "2025-07-01T00:00:00.000+00:00"),
    (datetime(2025, 7, 1, 12, tzinfo=LONDON), None, "2025-07-01T11:00:00.000+00:00"),
    (datetime(2025, 7, 1, 12), "Europe/London", "2025-07-01T11:00:00.000+00:00"),
    (pd.Timestamp("2025-07-01T12:00", tz="Europe/London"), None, "2025-07-01T11:00:00.000+00:00"),
    (date(2025, 7, 1), None, "2025-07-01T00:00:00.000+00:00"),
    (date(2025, 7, 1), "Europe/London", "2025-06-30T23:00:00.000+00:00"),
    # The hour that comes twice: the first, and the second by `fold`.
    (datetime(2025, 10, 26, 1, 30, tzinfo=LONDON), None, "2025-10-26T00:30:00.000+00:00"),
    (datetime(2025, 10, 26, 1, 30, fold=1, tzinfo=LONDON), None, "2025-10-26T01:30:00.000+00:00"),
]


@pytest.mark.parametrize(("value", "tz", "expected"), TIMES)
def test_times_are_what_they_mean(value: Time, tz: str | None, expected: str | int) -> None:
    """Zones, folds, dates; text is the Worker's to read."""
    assert expected == api_time(value, tz)


def test_a_time_without_a_zone_is_refused() -> None:
    """Python takes it for local time, and the API for UTC; neither is guessed."""
    with pytest.raises(ValueError, match="no time zone"):
        api_time(datetime(2025, 1, 1))
    for wrong in (1.5, True, None, timedelta(1)):
        with pytest.raises(TypeError, match="not a time"):
            api_time(wrong)  # type: ignore[arg-type]


def test_questions_are_bodies_of_the_api() -> None:
    """Only what is given is sent, and aggregates need an interval."""

    def body(points: Any = "a, b", **more: Any) -> dict[str, Any]:
        return dict(msgspec.json.decode(question_of("s", points, 1, **more).content("json")))

    bare = {"site": "s", "points": ["a, b"], "start_time": 1, "format": "json"}
    assert bare == body(end=None)
    assert {**bare, "points": ["a", "b"], "end_time": 2} == body(iter("ab"), end=2)
    assert {**bare, "max_points": 9, "fresh": True} == body(
        end=None, max_points=9, more={"fresh": True, "route": None}
    )
    assert {**bare, "interval": "1h", "aggregate": "mean"} == body(end=None, interval="1h")
    assert {**bare, "interval": "1d", "aggregate": "min,max", "tz": "Europe/Paris"} == body(
        end=None, interval="1d", aggregate=["min", "max"], tz="Europe/Paris"
    )
    assert ("min", "max") == question_of(
        "s", "p", 1, None, interval="1d", aggregate="min, max,min"
    ).aggregates
    assert bare == body(end=None, tz="Europe/Paris")
    with pytest.raises(ValueError, match="interval"):
        body(end=None, aggregate="mean")


def test_options_come_from_the_environment() -> None:
    """What is given goes before, and no text shows the key."""
    environment = {"BV_URL": "https://a.example/", "BV_KEY": "bv_secret"}
    times = {"timeout_s": 1.0, "patience_s": 1.0}
    found = options_of(None, None, **times, environment=environment)
    assert ("https://a.example", "bv_secret") == (found.url, found.key)
    assert "Bearer bv_secret" == found.http_options()["headers"]["Authorization"]
    assert "secret" not in repr(found)
    given = options_of("http://b", "", **times, environment=environment)
    assert ("http://b", None) == (given.url, given.key)
    assert "Authorization" not in given.http_options()["headers"]
    with pytest.raises(ValueError, match="BV_URL"):
        options_of(None, None, **times, environment={})


def test_a_bar_shows_jobs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing for an answer at once; a bar for a job, gone at its end."""
    bar = progress_of(True)
    assert isinstance(bar, Bar)
    bar(Progress("downloading", None, 5))
    assert "" == capsys.readouterr().err
    for progress in (0, 50):
        bar(Progress("waiting", Job(job_id="job_1", status="processing", progress=progress)))
    done = Job(job_id="job_1", status="completed", progress=100)
    bar(Progress("downloading", done, 2_000_000))
    bar(Progress("done", done))
    assert "job_1" in capsys.readouterr().err


def test_progress_is_shown_where_somebody_looks() -> None:
    """A callback is called; without a terminal, "auto" shows nothing."""
    shown: list[Progress] = []
    progress_of(shown.append)(Progress("done"))
    assert [Progress("done")] == shown
    assert not sys.stderr.isatty()
    assert not isinstance(progress_of("auto"), Bar)
    assert not isinstance(progress_of(False), Bar)
