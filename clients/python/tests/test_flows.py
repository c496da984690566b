"""Jobs, repeats and giving up, decided without a network: flows are sent the outcomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from building_vitals_client.errors import (
    BadRequest,
    BrokenDownload,
    BuildingVitalsError,
    ConnectionLost,
    JobCancelled,
    JobFailed,
    RateLimited,
    ResultExpired,
    Unavailable,
)
from building_vitals_client.flows import Flows, memory
from building_vitals_client.progress import Progress
from building_vitals_client.question import question_of
from building_vitals_client.wire import Effect, Exchange, Flow, Pause, Reply
from fakes.scripted_api import QUEUED, Scripted, document, events, job, problem, samples

DATA = samples({"p": [[1, 2.5]]})
TIMESERIES, EVENTS = "POST /api/timeseries", "GET /api/jobs/job_1/events"
JOB, RESULT = "GET /api/jobs/job_1", "GET /api/jobs/job_1/data"
CANCEL = "DELETE /api/jobs/job_1"

Outcome = Scripted | BaseException


class Run:
    """
    Carries out a flow with outcomes that are told beforehand, in virtual time.

    Attributes:
        asked: The requests, as method and path.
        waited_s: The pauses.
        shown: The progress that was told.
    """

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)
        self.asked: list[str] = []
        self.waited_s: list[float] = []
        self.shown: list[Progress] = []

    def timeseries(self, **more: Any) -> Any:
        """Run a request for samples."""
        question = question_of("s", "p", 1_735_689_600_000, **{"end": None, **more})
        return self.run(Flows(60).timeseries(question, memory(question), self.shown.append))

    def run(self, flow: Flow[Any]) -> Any:
        """Return what a flow returns; every outcome must have been asked for."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect)
                except BaseException as error:  # noqa: PERF203 - as a driver does
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as stop:
            assert [] == self._outcomes
            return stop.value

    def _perform(self, effect: Effect) -> Reply | None:
        if isinstance(effect, Pause):
            self.waited_s.append(effect.seconds)
            return None
        assert isinstance(effect, Exchange)
        request = effect.request
        self.asked.append(f"{request.method} {request.path}")
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        headers = {name.lower(): value for name, value in outcome.headers.items()}
        reply = Reply(outcome.status, headers)
        effect.sink.begin(reply)
        effect.sink.feed(outcome.body)
        if outcome.is_cut:
            raise BrokenDownload("cut")
        effect.sink.close()
        return reply


def test_an_answer_is_returned_at_once() -> None:
    """What is not a job takes one request."""
    run = Run(DATA)
    assert {"p": [(1, 2.5)]} == run.timeseries().samples
    assert ([TIMESERIES], []) == (run.asked, run.waited_s)


def test_a_job_is_followed_by_its_events() -> None:
    """The events tell the end; then the result is asked for."""
    run = Run(QUEUED, events(job("processing", 40), job("completed", 100)), DATA)
    assert {"p": [(1, 2.5)]} == run.timeseries().samples
    assert ([TIMESERIES, EVENTS, RESULT], []) == (run.asked, run.waited_s)
    waited = [each.job.progress for each in run.shown if each.stage == "waiting" and each.job]
    assert [40, 100] == waited
    assert "done" == run.shown[-1].stage


def test_a_stream_that_ends_early_is_opened_again() -> None:
    """After the five minutes that a stream lives, the next one goes on."""
    run = Run(QUEUED, events(job("processing", 10)), events(job("completed", 100)), DATA)
    run.timeseries()
    assert [TIMESERIES, EVENTS, EVENTS, RESULT] == run.asked
    assert [1.0] == run.waited_s


def test_a_job_without_events_is_looked_at() -> None:
    """Where streams break, the job is asked for its state, and no stream is tried for ever."""
    going, done = document(job("processing", 10)), document(job("completed", 100))
    run = Run(
        *(QUEUED, ConnectionLost("x"), going, problem(429, "Too many"), going),
        *(events(is_cut=True), going, going, done, DATA),
    )
    run.timeseries()
    assert [TIMESERIES, *([EVENTS, JOB] * 3), JOB, JOB, RESULT] == run.asked
    assert run.waited_s == sorted(run.waited_s)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_badly_is_an_error(status: str) -> None:
    """The exception holds the job and says why."""
    run = Run(QUEUED, events(job(status, 10, error="no luck")))
    expected = JobFailed if status == "failed" else JobCancelled
    with pytest.raises(expected, match=f"job_1 {status}: no luck") as caught:
        run.timeseries()
    assert status == caught.value.job.status


@pytest.mark.parametrize("leaving", [KeyboardInterrupt(), SystemExit(1), RuntimeError("callback")])
def test_who_leaves_cancels_the_job(leaving: BaseException) -> None:
    """An interrupt while a job runs cancels it, and goes on."""
    run = Run(QUEUED, leaving, document({"success": True}))
    with pytest.raises(type(leaving)):
        run.timeseries()
    assert [TIMESERIES, EVENTS, CANCEL] == run.asked


def test_a_cancelling_that_fails_hides_nothing() -> None:
    """The interrupt is raised, whatever becomes of the job."""
    run = Run(QUEUED, KeyboardInterrupt(), ConnectionLost("gone"))
    with pytest.raises(KeyboardInterrupt):
        run.timeseries()


def test_who_waits_for_a_job_by_its_id_leaves_it_running() -> None:
    """`wait` looks on; it did not ask for the job."""
    run = Run(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run.run(Flows(60).completed("job_1", 1.0, run.shown.append))
    assert [EVENTS] == run.asked


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_heeded(status: int) -> None:
    """The pause is what the Worker says."""
    run = Run(problem(status, "Busy", retry_after="7"), problem(status, "Busy"), DATA)
    run.timeseries()
    assert [7.0, 0.25] == run.waited_s


def test_a_pause_that_is_too_long_is_not_waited() -> None:
    """Who would have to wait for an hour is told so."""
    run = Run(problem(429, "Too many requests", retry_after="3600", detail="an hour is full"))
    with pytest.raises(RateLimited, match="an hour is full") as caught:
        run.timeseries()
    assert 3600 == caught.value.retry_after_s
    assert [] == run.waited_s


def test_pauses_are_bounded_together() -> None:
    """A Worker that stays away is given up after a minute of pauses, each longer than the last."""
    run = Run(*[ConnectionLost("refused")] * 13)
    with pytest.raises(ConnectionLost):
        run.timeseries()
    assert 60 >= sum(run.waited_s) > 50
    assert 8.0 == max(run.waited_s)
    assert run.waited_s == sorted(run.waited_s)


def test_retry_after_zero_is_no_endless_loop() -> None:
    """Even a Worker that says "at once" for ever is given up."""
    run = Run(*[problem(503, "Busy", retry_after="0")] * 241)
    with pytest.raises(Unavailable):
        run.timeseries()
    assert 240 == len(run.waited_s)


def test_an_answer_that_breaks_is_asked_for_again() -> None:
    """Cut in the transfer, or cut where nobody noticed: never taken for whole."""
    cut = Scripted(200, DATA.headers, DATA.body[:-20])
    run = Run(Scripted(200, DATA.headers, DATA.body, is_cut=True), cut, DATA)
    assert 1 == len(run.timeseries())
    assert [TIMESERIES] * 3 == run.asked


def test_an_answer_that_always_breaks_is_given_up() -> None:
    """Four attempts; a download costs the Worker something."""
    run = Run(*[Scripted(200, DATA.headers, DATA.body[:-20])] * 4)
    with pytest.raises(BrokenDownload):
        run.timeseries()


def test_a_result_that_breaks_is_asked_for_again_without_a_new_job() -> None:
    """The job stays; its result is downloaded once more."""
    run = Run(QUEUED, events(job("completed", 100)), Scripted(200, DATA.headers, b'{"data":'), DATA)
    assert 1 == len(run.timeseries())
    assert [TIMESERIES, EVENTS, RESULT, RESULT] == run.asked


def test_a_result_that_has_expired_is_asked_for_once_more() -> None:
    """From the beginning, and once."""
    gone = problem(410, "Expired", detail="send the request again")
    ended = (QUEUED, events(job("completed", 100)), gone)
    assert 1 == len(Run(*ended, DATA).timeseries())
    with pytest.raises(ResultExpired):
        Run(*ended, *ended).timeseries()


def test_every_problem_is_named() -> None:
    """A refused request says all that is wrong with it, and is not sent again."""
    errors = [
        {"field": "start_time", "message": "not a time: 'x'"},
        {"field": "max_point", "message": "unknown; max_points?"},
    ]
    run = Run(problem(400, "Invalid request", detail="two problems", errors=errors))
    with pytest.raises(BadRequest) as caught:
        run.timeseries()
    assert [tuple(each.values()) for each in errors] == caught.value.problems
    assert all(each["message"] in str(caught.value) for each in errors)
    assert "r-1" in str(caught.value)


@pytest.mark.parametrize(("status", "attempts"), [(502, 1), (504, 1), (404, 1), (500, 1)])
def test_what_does_not_pass_is_not_repeated(status: int, attempts: int) -> None:
    """The Worker has tried already, or the request is wrong."""
    run = Run(problem(status, "No"))
    with pytest.raises(BuildingVitalsError):
        run.timeseries()
    assert attempts == len(run.asked)


def test_a_gateways_page_is_a_connection_that_was_lost() -> None:
    """A 502 that is no document of the Worker's comes from something before it: it passes."""
    page = Scripted(502, {"Content-Type": "text/html"}, b"<html>restarting</html>")
    run = Run(page, DATA)
    run.timeseries()
    assert [0.25] == run.waited_s


def test_pages_of_a_list_are_put_together() -> None:
    """All pages, and no more."""
    first, second = (
        document({"page": n, "pages": 2, "per_page": 1, "total": 2, "items": [{"name": f"p{n}"}]})
        for n in (1, 2)
    )
    run = Run(first, second)
    found = run.run(Flows(60).points("a/b", ["zone", "temp"]))
    assert ["p1", "p2"] == [each["name"] for each in found]
    assert ["GET /api/sites/a%2Fb/points"] * 2 == run.asked


def test_jobs_follow_the_cursor() -> None:
    """Pages of jobs are put together, until there are enough."""
    pages = [{"jobs": [job("failed")] * 2, "nextCursor": cursor} for cursor in ("c", None)]
    assert 4 == len(Run(*map(document, pages)).run(Flows(60).jobs(None, None, None)))
    assert 2 == len(Run(document(pages[0])).run(Flows(60).jobs("failed", "s", 2)))


def test_degraded_health_is_an_answer() -> None:
    """A 503 with the Worker's checks is what was asked for; any other is an error."""
    degraded = {"status": "degraded", "checks": {"d1": "error"}}
    assert degraded == Run(document(degraded, 503)).run(Flows(60).health())
    with pytest.raises(Unavailable):
        Run(problem(503, "Unavailable")).run(Flows(60).health())


def test_the_job_is_told_in_events_as_json() -> None:
    """What cannot be read ends the stream, and the job is looked at."""
    odd = Scripted(200, {}, b"event: progress\ndata: {\n\n" + json.dumps({}).encode())
    run = Run(QUEUED, odd, document(job("completed", 100)), DATA)
    run.timeseries()
    assert [TIMESERIES, EVENTS, JOB, RESULT] == run.asked
