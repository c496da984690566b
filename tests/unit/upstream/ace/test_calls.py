"""Tests of one call: what is repeated, how long that lasts, and what the errors say."""

from __future__ import annotations

import asyncio

import pytest

from building_vitals.errors import (
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from building_vitals.instants import DAY_MS
from building_vitals.ports import HttpAnswer, HttpFailure, HttpTimeout, HttpTooLarge
from building_vitals.ranges import Range
from building_vitals.upstream.ace.backoff import RETRY_AFTER_CAP_MS
from building_vitals.upstream.ace.calls import Calls
from building_vitals.upstream.ace.fetch_report import UpstreamState
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import Target, pages_target
from fakes.clock import VirtualClock
from fakes.http import ScriptedHttp, SentRequest, Step, answer

CREDENTIAL = "s3cret-token"
SETTINGS = UpstreamSettings(base_url="https://u/api", token=CREDENTIAL)
TARGET = Target("GET", "/sites/hq/timeseries/paginated", "page_size=10")
NOW_MS = 1_735_689_600_000
JANUARY = Range(NOW_MS, NOW_MS + 31 * DAY_MS)
HTML = b"<html>bad gateway</html>"


class Gate:
    """A gate that takes a second, and remembers what it heard."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.heard: list[int | None] = []
        self.admitted = 0

    async def admit(self, deadline_ms: int | None) -> None:
        """Admit after a second."""
        self.admitted += 1
        self._clock.advance(1_000)

    def limited(self, retry_after_ms: int | None) -> None:
        """Remember."""
        self.heard.append(retry_after_ms)


class Bench:
    """One call over a script."""

    def __init__(
        self,
        *steps: Step,
        otherwise: Step | None = None,
        deadline_ms: int | None = None,
        settings: UpstreamSettings = SETTINGS,
        has_gate: bool = False,
        state: UpstreamState | None = None,
    ) -> None:
        self.clock = VirtualClock(NOW_MS)
        self.http = ScriptedHttp(*steps, otherwise=otherwise)
        self.gate = Gate(self.clock) if has_gate else None
        self.state = UpstreamState() if state is None else state
        self.calls = Calls(
            self.http, self.clock, settings, self.gate, deadline_ms, state=self.state
        )

    async def answer(self, *, target: Target = TARGET, may_be_absent: bool = False) -> bytes | None:
        """Return what the call answers."""
        return await self.calls.begin(target, may_be_absent=may_be_absent).answer()

    async def failure(self, target: Target = TARGET) -> UpstreamError:
        """Return the error that the call ends in."""
        with pytest.raises(UpstreamError) as caught:
            await self.answer(target=target)
        return caught.value


async def test_request_carries_the_token_and_asks_for_json() -> None:
    """A request has the bearer token, the address and the page's time-out."""
    bench = Bench(answer(200, b"{}"))

    assert await bench.answer() == b"{}"
    (sent,) = bench.http.requests
    assert sent.url == "https://u/api/sites/hq/timeseries/paginated?page_size=10"
    assert sent.headers == {"accept": "application/json", "authorization": f"Bearer {CREDENTIAL}"}
    assert (sent.method, sent.body, sent.timeout_ms) == ("GET", None, 30_000)


async def test_without_a_token_none_is_sent() -> None:
    """No token, no header."""
    bench = Bench(answer(200, b"{}"), settings=UpstreamSettings(base_url="https://u", token=None))
    await bench.answer()

    assert "authorization" not in bench.http.requests[0].headers


@pytest.mark.parametrize(
    "step",
    [
        answer(500, b""),
        answer(502, HTML),
        answer(503, b""),
        answer(429, b""),
        answer(404, b""),
        HttpFailure("body cut short"),
        HttpTimeout("30 s"),
    ],
)
async def test_transient_faults_are_repeated(step: Step) -> None:
    """A fault that may pass is followed by another attempt after a wait that grows."""
    bench = Bench(step, step, answer(200, b"{}"))

    assert await bench.answer() == b"{}"
    assert bench.clock.sleeps == [250, 500]
    assert bench.calls.report.requests == 3


@pytest.mark.parametrize(
    ("step", "kind", "status", "detail"),
    [
        (answer(503, b""), UpstreamError, 503, "answered 503 after 5 attempts"),
        (answer(429, b""), UpstreamLimited, 429, "answered 429 after 5 attempts"),
        (
            HttpFailure("connection refused"),
            UpstreamError,
            None,
            "gave no whole answer (connection refused) after 5 attempts",
        ),
        (
            HttpTimeout(),
            UpstreamTimeout,
            None,
            "did not answer within 30000 ms after 5 attempts",
        ),
    ],
)
async def test_faults_that_stay_end_the_call(
    step: Step, kind: type[UpstreamError], status: int | None, detail: str
) -> None:
    """After the last attempt the error says what happened and how often."""
    bench = Bench(otherwise=step)
    with pytest.raises(UpstreamError) as caught:
        await bench.answer()

    assert kind is type(caught.value)
    assert f"upstream /sites/hq/timeseries/paginated {detail}" == caught.value.detail
    assert status == caught.value.upstream_status
    assert caught.value.retryable
    assert bench.calls.report.requests == 5
    assert bench.clock.sleeps == [250, 500, 1_000, 2_000]


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        (400, "answered 400"),
        (410, "answered 410"),
        (414, "answered 414"),
        (422, "answered 422"),
        (401, "answered 401: it refuses the Worker's token (ACE_API_TOKEN)"),
        (204, "answered 204; only 200 has an answer"),
        (301, "answered 301: a redirect, which is not followed"),
        (302, "answered 302: a redirect, which is not followed"),
        (307, "answered 307: a redirect, which is not followed"),
        (308, "answered 308: a redirect, which is not followed"),
    ],
)
async def test_other_statuses_are_not_repeated(status: int, ending: str) -> None:
    """What repeating won't change fails at once."""
    bench = Bench(answer(status, b"", headers={"location": "https://elsewhere"}))
    with pytest.raises(UpstreamError) as caught:
        await bench.answer()

    assert caught.value.detail == f"upstream /sites/hq/timeseries/paginated {ending}"
    assert status == caught.value.upstream_status
    assert not caught.value.retryable
    assert bench.clock.sleeps == []


async def test_missing_token_is_named() -> None:
    """A refusal without a token says that there is none."""
    bench = Bench(answer(401, b""), settings=UpstreamSettings(base_url="https://u", token=None))
    with pytest.raises(UpstreamError, match=r"the Worker has no token \(ACE_API_TOKEN\)$"):
        await bench.answer()


async def test_allowed_404_is_an_answer() -> None:
    """Where 404 means that there is nothing, it is not repeated."""
    bench = Bench(answer(404, b""))

    assert await bench.answer(may_be_absent=True) is None
    assert bench.calls.report.requests == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize(
    ("retry_after", "date"),
    [
        ("7", None),
        ("Wed, 01 Jan 2025 00:00:07 GMT", None),
        ("Wednesday, 01-Jan-25 01:00:07 GMT", "Wed, 01 Jan 2025 01:00:00 GMT"),
        ("Tue Dec 31 12:00:07 2024", "Tue, 31 Dec 2024 12:00:00 GMT"),
    ],
)
async def test_retry_after_is_honoured(status: int, retry_after: str, date: str | None) -> None:
    """The wait after a 429 or 5xx is at least what the upstream asks by its clock, plus jitter."""
    headers = {"retry-after": retry_after} | ({"date": date} if date else {})
    limited = answer(status, b"", headers=headers)
    bench = Bench(limited, answer(200, b"{}"), deadline_ms=NOW_MS + 10_000)

    assert await bench.answer() == b"{}"
    assert bench.clock.sleeps == [7_250]


@pytest.mark.parametrize(
    ("retry_after", "deadline_ms"),
    [("60", NOW_MS + 30_000), ("86400", None), ("99999999999", None)],
)
async def test_retry_after_beyond_patience_fails_at_once(
    retry_after: str, deadline_ms: int | None
) -> None:
    """A wait past the deadline is not begun; the error says when to come back."""
    for status, kind in ((429, UpstreamLimited), (503, UpstreamError)):
        limited = answer(status, b"", headers={"retry-after": retry_after})
        bench = Bench(limited, deadline_ms=deadline_ms)
        failure = await bench.failure()

        assert kind is type(failure)
        assert min(int(retry_after), RETRY_AFTER_CAP_MS // 1000) == failure.retry_after_s
        assert (status, True) == (failure.upstream_status, failure.retryable)
        assert bench.clock.sleeps == []


async def test_time_out_shrinks_towards_the_deadline() -> None:
    """An attempt gets no more time than is left."""
    bench = Bench(
        answer(503, b""), answer(200, b"{}"), deadline_ms=NOW_MS + 30_100,
    )  # fmt: skip
    await bench.answer()

    assert [sent.timeout_ms for sent in bench.http.requests] == [30_000, 29_850]


async def test_fault_without_time_for_another_attempt_is_told_as_it_is() -> None:
    """When the next wait would pass the deadline, the last fault is the error."""
    bench = Bench(answer(503, b""), answer(503, b""), deadline_ms=NOW_MS + 700)
    with pytest.raises(UpstreamError, match=r"answered 503 after 2 attempts$"):
        await bench.answer()

    assert bench.clock.sleeps == [250]


async def test_a_time_out_that_comes_early_is_not_tried_again() -> None:
    """A timer that rings before its time leaves no time for another attempt."""

    def early(sent: SentRequest) -> HttpAnswer:
        bench.clock.advance(sent.timeout_ms - 1)
        raise HttpTimeout("rang early")

    settings = UpstreamSettings(base_url="https://u", token=None, retry_delay_ms=1)
    bench = Bench(early, settings=settings, deadline_ms=NOW_MS + 300)

    assert isinstance(await bench.failure(), UpstreamTimeout)
    assert 1 == len(bench.http.requests)


async def test_passed_deadline_sends_nothing() -> None:
    """Without time left no request is sent."""
    bench = Bench(deadline_ms=NOW_MS)
    with pytest.raises(UpstreamTimeout, match=r"within the time allowed after 0 attempts$"):
        await bench.answer()

    assert bench.http.requests == []


async def test_gate_admits_every_request_and_hears_of_limits() -> None:
    """The gate is asked before each attempt, told of each 429, and its time counts as waiting."""
    limited = answer(429, b"", headers={"retry-after": "2"})
    bench = Bench(limited, answer(429, b""), answer(200, b"{}"), has_gate=True)
    await bench.answer()

    assert bench.gate is not None
    assert bench.gate.admitted == 3
    assert bench.gate.heard == [2_000, None]


async def test_time_at_the_gate_counts_towards_the_deadline() -> None:
    """A request admitted too late is not sent."""
    bench = Bench(has_gate=True, deadline_ms=NOW_MS + 900)
    with pytest.raises(UpstreamTimeout):
        await bench.answer()

    assert bench.http.requests == []


async def test_distrusted_answers_count_as_attempts() -> None:
    """An answer that cannot be true is asked for again as often as a fault would be."""
    bench = Bench(otherwise=answer(200, HTML))
    call = bench.calls.begin(TARGET)
    for _ in range(4):
        await call.answer()
        await call.distrust("lies")
    await call.answer()
    with pytest.raises(UpstreamError) as caught:
        await call.distrust("lies")

    assert caught.value.detail == f"upstream {TARGET.path} lies after 5 attempts"
    assert caught.value.upstream_status == 200
    assert bench.clock.sleeps == [250, 500, 1_000, 2_000]


@pytest.mark.parametrize(
    "step",
    [
        answer(401, CREDENTIAL.encode()),
        answer(500, CREDENTIAL.encode()),
        HttpFailure(f"x {CREDENTIAL} y"),
    ],
)
async def test_no_error_holds_the_token(step: Step) -> None:
    """Whatever fails, the token is in no text of the error."""
    bench = Bench(otherwise=step)
    with pytest.raises(UpstreamError) as caught:
        await bench.answer()

    assert CREDENTIAL not in f"{caught.value!r} {caught.value} {caught.value.detail}"


async def test_long_reasons_are_cut() -> None:
    """A reason from another layer cannot fill the log."""
    bench = Bench(otherwise=HttpFailure("x" * 10_000))
    with pytest.raises(UpstreamError) as caught:
        await bench.answer()

    assert len(caught.value.detail) < 400


async def test_other_exceptions_pass() -> None:
    """A mistake in the adapter is not taken for a fault of the upstream."""
    bench = Bench(KeyError("mistake"))
    with pytest.raises(KeyError):
        await bench.answer()


UNHANDLED = answer(500, {"message": "An unhandled exception occurred."})
SITE = Target("GET", "/sites/h%20q/timeseries/paginated", "page_size=10")
ELSEWHERE = Target("POST", "/points/get_timeseries", "", b"{}")
NO_CREDENTIAL = UpstreamSettings(base_url="https://u/api", token=None)


async def test_403_for_a_site_is_an_unknown_site() -> None:
    """The upstream answers 403 for sites that it lacks or hides: that is no fault of the token."""
    failure = await Bench(answer(403, b"")).failure(SITE)

    assert UpstreamSiteUnknown is type(failure)
    assert "the upstream knows no site 'h q', or the Worker's token may not read it" == str(failure)
    assert (403, False) == (failure.upstream_status, failure.retryable)


async def test_403_elsewhere_is_the_token() -> None:
    """Where no site is asked about, 403 refuses the token."""
    failure = await Bench(answer(403, b"")).failure(ELSEWHERE)

    assert UpstreamError is type(failure)
    assert failure.detail == (
        "upstream /points/get_timeseries answered 403: it refuses the Worker's token "
        "(ACE_API_TOKEN)"
    )


@pytest.mark.parametrize(
    ("settings", "ending"),
    [
        (SETTINGS, "the Worker's token may be wrong (ACE_API_TOKEN)"),
        (NO_CREDENTIAL, "the Worker has no token (ACE_API_TOKEN)"),
    ],
)
async def test_a_wrong_token_is_told_at_once(settings: UpstreamSettings, ending: str) -> None:
    """Where nothing has worked and the list of sites has the same 500, no retry is sent."""
    bench = Bench(UNHANDLED, UNHANDLED, settings=settings)
    failure = await bench.failure(ELSEWHERE)

    assert failure.detail == (
        "upstream /points/get_timeseries answered 500, and 500 to the list of sites as well: "
        + ending
    )
    assert (500, False) == (failure.upstream_status, failure.retryable)
    assert bench.clock.sleeps == []
    probe = bench.http.requests[1]
    assert ("GET", "https://u/api/sites/?page=1&per_page=2") == (probe.method, probe.url)
    assert probe.headers == bench.calls.headers
    assert bench.calls.report.requests == 2


@pytest.mark.parametrize(
    "probe",
    [answer(200, {"items": []}), answer(503, b""), answer(500, b"oops"), HttpFailure("lost")],
)
async def test_other_answers_to_the_probe_leave_the_retries(probe: Step) -> None:
    """A list of sites that answers otherwise shows nothing of the token; it is asked but once."""
    bench = Bench(UNHANDLED, probe, UNHANDLED, UNHANDLED, answer(200, b"{}"))

    assert b"{}" == await bench.answer()
    assert bench.clock.sleeps == [250, 500, 1_000]
    assert bench.state.has_worked


@pytest.mark.parametrize(
    "fault",
    [
        answer(500, b""),
        answer(500, {"message": "disk full"}),
        answer(502, {"message": "An unhandled exception occurred."}),
        answer(500, b'"An unhandled exception occurred.' + b"x" * 1_000),
    ],
)
async def test_other_faults_do_not_ask_for_the_token(fault: Step) -> None:
    """Only the answer to a wrong token makes it suspect."""
    bench = Bench(fault, answer(200, b"{}"))

    assert b"{}" == await bench.answer()
    assert len(bench.http.requests) == 2


async def test_a_token_that_has_worked_is_not_suspected() -> None:
    """After any 200 with it, also in an earlier invocation, a 500 is an ordinary fault."""
    state = UpstreamState()
    await Bench(answer(200, b"{}"), state=state, settings=NO_CREDENTIAL).answer()
    assert not state.has_worked
    await Bench(answer(404, b""), state=state).answer(may_be_absent=True)
    assert not state.has_worked
    await Bench(answer(200, b"{}"), state=state).answer()
    assert state.has_worked
    later = Bench(UNHANDLED, answer(200, b"{}"), state=state)

    assert b"{}" == await later.answer()
    assert len(later.http.requests) == 2


async def test_calls_of_one_fetch_share_the_probe() -> None:
    """Calls that fail together ask for the list of sites once, and all blame the token."""
    bench = Bench(otherwise=UNHANDLED)
    failures = await asyncio.gather(
        *(bench.calls.begin(TARGET).answer() for _ in range(3)), return_exceptions=True
    )

    assert 3 == sum("may be wrong" in str(failure) for failure in failures)
    assert 1 == sum("per_page=2" in sent.url for sent in bench.http.requests)
    assert 4 == bench.calls.report.requests


async def test_the_probe_passes_the_gate_and_keeps_the_deadline() -> None:
    """The probe waits at the gate as every request does, and is left out when that is too late."""
    bench = Bench(UNHANDLED, UNHANDLED, has_gate=True)
    await bench.failure()
    assert bench.gate is not None
    assert 2 == bench.gate.admitted
    late = Bench(UNHANDLED, has_gate=True, deadline_ms=NOW_MS + 1_500)

    assert "answered 500 after 1 attempt" in (await late.failure()).detail
    assert 1 == len(late.http.requests)


@pytest.mark.parametrize(
    ("target", "limit"),
    [
        (TARGET, SETTINGS.page_bytes_max),
        (ELSEWHERE, SETTINGS.page_bytes_max),
        (Target("GET", "/sites/", "page=1"), SETTINGS.list_bytes_max),
        (Target("GET", "/sites/hq"), SETTINGS.list_bytes_max),
    ],
)
async def test_answers_have_a_limit_of_bytes(target: Target, limit: int) -> None:
    """A request tells the most bytes of its answer; a larger one fails without another attempt."""
    bench = Bench(HttpTooLarge(f"the body has more than {limit} bytes"))
    failure = await bench.failure(target)

    assert UpstreamTooLarge is type(failure)
    assert failure.detail == (
        f"upstream {target.path} sent a larger answer than the Worker reads: "
        f"the body has more than {limit} bytes"
    )
    assert not failure.retryable
    assert [limit] == [sent.body_max for sent in bench.http.requests]


async def test_request_lines_beyond_the_limit_are_not_sent() -> None:
    """A request line has up to 4,094 bytes; a longer one is an error that says so."""
    room = 4_094 - len("GET /api/x? HTTP/1.1")
    assert b"{}" == await Bench(answer(200, b"{}")).answer(target=Target("GET", "/x", "q" * room))
    bench = Bench()
    failure = await bench.failure(Target("GET", "/x", "q" * (room + 1)))

    assert failure.detail == (
        "upstream /x was not asked: the request line would have 4095 bytes, limit 4094"
    )
    assert not failure.retryable
    assert [] == bench.http.requests
    assert len((await bench.failure(Target("GET", "/x" * 3_000))).detail) < 400


async def test_names_of_128_letters_are_asked_for() -> None:
    """The longest site name, with the most bytes a letter, and a long cursor fit in a line."""
    target = pages_target("\U0001f600" * 128, None, JANUARY, page_size=100_000, cursor="=" * 200)

    assert b"{}" == await Bench(answer(200, b"{}")).answer(target=target)
