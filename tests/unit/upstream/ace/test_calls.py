"""Tests of one call: what is repeated, how long that lasts, and what the errors say."""

from __future__ import annotations

import pytest

from building_vitals.errors import UpstreamError, UpstreamLimited, UpstreamTimeout
from building_vitals.ports import HttpFailure, HttpTimeout
from building_vitals.upstream.ace.calls import Calls
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import Target
from fakes.clock import VirtualClock
from fakes.http import ScriptedHttp, Step, answer

CREDENTIAL = "s3cret-token"
SETTINGS = UpstreamSettings(base_url="https://u/api", token=CREDENTIAL)
TARGET = Target("GET", "/sites/hq/timeseries/paginated", "page_size=10")
NOW_MS = 1_735_689_600_000
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
    ) -> None:
        self.clock = VirtualClock(NOW_MS)
        self.http = ScriptedHttp(*steps, otherwise=otherwise)
        self.gate = Gate(self.clock) if has_gate else None
        self.calls = Calls(self.http, self.clock, settings, self.gate, deadline_ms)

    async def answer(self, *, may_be_absent: bool = False) -> bytes | None:
        """Return what the call answers."""
        return await self.calls.begin(TARGET, may_be_absent=may_be_absent).answer()


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
        (403, "answered 403: it refuses the Worker's token (ACE_API_TOKEN)"),
        (204, "answered 204; only 200 has an answer"),
        (302, "answered 302: a redirect, which is not followed"),
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


@pytest.mark.parametrize("retry_after", ["7", "Wed, 01 Jan 2025 00:00:07 GMT"])
async def test_retry_after_is_honoured(retry_after: str) -> None:
    """The wait after a 429 is at least what the upstream asks, plus jitter."""
    limited = answer(429, b"", headers={"retry-after": retry_after})
    bench = Bench(limited, answer(200, b"{}"), deadline_ms=NOW_MS + 10_000)

    assert await bench.answer() == b"{}"
    assert bench.clock.sleeps == [7_250]


@pytest.mark.parametrize(("retry_after", "deadline_ms"), [("60", NOW_MS + 30_000), ("86400", None)])
async def test_retry_after_beyond_patience_fails_at_once(
    retry_after: str, deadline_ms: int | None
) -> None:
    """A wait past the deadline is not begun; the error says when to come back."""
    limited = answer(429, b"", headers={"retry-after": retry_after})
    bench = Bench(limited, deadline_ms=deadline_ms)
    with pytest.raises(UpstreamLimited) as caught:
        await bench.answer()

    assert int(retry_after) == caught.value.retry_after_s
    assert caught.value.upstream_status == 429
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
