"""
One call of the upstream: sends a request, checks the status, and retries while that may help.

Separate because retries, back-off, deadlines and limits are the same for every target.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from building_vitals.errors import (
    UpstreamError,
    UpstreamLimited,
    UpstreamSiteUnknown,
    UpstreamTimeout,
    UpstreamTooLarge,
)
from building_vitals.instants import elapsed_ms
from building_vitals.ports import (
    Clock,
    HttpAnswer,
    HttpClient,
    HttpCut,
    HttpFailure,
    HttpTimeout,
    HttpTooLarge,
)
from building_vitals.upstream.ace.backoff import backoff_ms, parse_retry_after
from building_vitals.upstream.ace.fetch_report import FetchReport, UpstreamState
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import SITES_PATH, Target, list_target
from building_vitals.upstream.ace.wire import PageRefused
from building_vitals.upstream.port import UpstreamGate

ShapeT = TypeVar("ShapeT")

# Without a deadline, a longer Retry-After fails the call; the error says when to retry.
RETRY_AFTER_MAX_MS = 120_000

# An attempt that would have less time is not begun. Timers ring a little early now and then, by the
# clock that deadlines go by: what ran out of time must not be sent again for the last millisecond.
ATTEMPT_MS_MIN = 20

_FAILURE_TEXT_MAX = 200
_OK, _REDIRECT, _REFUSAL, _FAULT = 200, 300, 400, 500
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _LIMITED = 401, 403, 404, 429

_REFUSED_TEXT = "it refuses the Worker's token"
_SUSPECT_TEXT = "the Worker's token may be wrong"
# The upstream's answer to a wrong token, and to any failure of its own.
_UNHANDLED = b'"An unhandled exception occurred.'
_UNHANDLED_BYTES_MAX = 1_000
# The smallest question that every token may ask.
_PROBE = list_target(SITES_PATH, 1, 2)


class AnswerCut(UpstreamError):
    """An answer began and did not come whole: a smaller one may come."""


class AnswerTooLarge(AnswerCut, UpstreamTooLarge):
    """An answer has more bytes than the Worker reads: a smaller one may come."""


class Calls:
    """The ports, limits, deadline and counts that the calls of one fetch share."""

    def __init__(
        self,
        http: HttpClient,
        clock: Clock,
        settings: UpstreamSettings,
        gate: UpstreamGate | None,
        deadline_ms: int | None,
        *,
        state: UpstreamState | None = None,
    ) -> None:
        self.http = http
        self.clock = clock
        self.settings = settings
        self.gate = gate
        self.deadline_ms = deadline_ms
        self.report = FetchReport()
        # Most bytes of an answer with samples.
        self.page_bytes_max = settings.page_bytes_max
        self._state = UpstreamState() if state is None else state
        self._is_token_suspect: bool | None = None
        self._token_door = asyncio.Lock()
        self.headers = {"accept": "application/json"}
        if settings.token is not None:
            self.headers["authorization"] = f"Bearer {settings.token}"

    def begin(self, target: Target, *, may_be_absent: bool = False, is_large: bool = False) -> Call:
        """
        Return a call that has not been sent yet.

        Args:
            target: The request.
            may_be_absent: Whether 404 is an answer rather than a fault.
            is_large: Whether the caller can ask for less where an answer is cut.
        """
        return Call(self, target, may_be_absent=may_be_absent, is_large=is_large)

    async def read(
        self, target: Target, decode: Callable[[bytes], ShapeT], *, may_be_absent: bool = False
    ) -> ShapeT | None:
        """
        Return the first answer that can be decoded; None for an allowed 404.

        Raises:
            UpstreamError: as `Call.answer` and `Call.distrust` do.
        """
        call = self.begin(target, may_be_absent=may_be_absent)
        while True:
            body = await call.answer()
            if body is None:
                return None
            try:
                return decode(body)
            except PageRefused as refused:
                lie = str(refused)
            await call.distrust(lie)

    async def admitted(self) -> int:
        """
        Return how long the next attempt may take, once it may be sent: milliseconds.

        Raises:
            UpstreamLimited: the Worker's quota allows none before the deadline.
        """
        if self.gate is not None:
            await self.gate.admit(self.deadline_ms)
        timeout_ms = self.settings.page_timeout_ms
        if self.deadline_ms is not None:
            timeout_ms = min(timeout_ms, self.deadline_ms - self.clock.now_ms())
        return timeout_ms

    async def send(self, target: Target, timeout_ms: int) -> HttpAnswer:
        """
        Send a request once; return the answer, whatever its status.

        Raises:
            HttpFailure: no complete answer came.
        """
        settings = self.settings
        headers = self.headers
        if target.body is not None:
            headers = {**headers, "content-type": "application/json"}
        self.report.requests += 1
        answer = await self.http.request(
            target.method,
            target.url(settings.base_url),
            headers=headers,
            body=target.body,
            timeout_ms=timeout_ms,
            body_max=self.page_bytes_max if target.has_samples else settings.list_bytes_max,
        )
        if answer.status == _OK and settings.token is not None:
            self._state.has_worked = True
        return answer

    async def blames_token(self, answer: HttpAnswer) -> bool:
        """
        Return whether an answer, a 500, probably means that the token is wrong.

        The upstream has the same answer for its own failures. But where the token has never worked,
        and the list of sites gets that answer too, retries are of no use. All calls of a fetch
        share one look at that list.
        """
        if self._state.has_worked or not _is_unhandled(answer):
            return False
        async with self._token_door:
            if self._is_token_suspect is None:
                self._is_token_suspect = await self._probe()
        return self._is_token_suspect

    async def _probe(self) -> bool:
        """Return whether the list of sites has the answer to a wrong token, too."""
        try:
            timeout_ms = await self.admitted()
            if timeout_ms <= 0:
                return False
            return _is_unhandled(await self.send(_PROBE, timeout_ms))
        except (HttpFailure, UpstreamLimited):
            return False


def _is_unhandled(answer: HttpAnswer) -> bool:
    """Return whether an answer is the one to a wrong token."""
    is_short = len(answer.body) <= _UNHANDLED_BYTES_MAX
    return answer.status == _FAULT and is_short and _UNHANDLED in answer.body


class Call:
    """
    One request with its attempts, at most `max_retries` + 1.

    Attributes:
        took_ms: How long the last answer took.
    """

    def __init__(
        self, calls: Calls, target: Target, *, may_be_absent: bool, is_large: bool = False
    ) -> None:
        self.took_ms = 0
        self._calls = calls
        self._target = target
        self._may_be_absent = may_be_absent
        self._is_large = is_large
        self._attempts = 0

    async def answer(self) -> bytes | None:
        """
        Return the body of a 200, or None for an allowed 404.

        Raises:
            UpstreamTimeout: no answer came in time.
            UpstreamLimited: the upstream kept answering 429, or asks to wait beyond the deadline.
            AnswerCut: a large answer was cut; only where the caller can ask for less.
            UpstreamError: any other failure, when a retry cannot help or has not helped.
        """
        while True:
            try:
                return await self._attempt()
            except UpstreamError as failure:
                if isinstance(failure, AnswerCut):
                    raise
                await self._wait_after(failure)

    async def retry(self, failure: UpstreamError) -> None:
        """
        Return when the request may be sent again after a failure.

        Raises:
            UpstreamError: that failure; no attempt is left.
        """
        await self._wait_after(failure)

    async def distrust(self, what: str) -> None:
        """
        Return when the request may be sent again, because its answer was invalid.

        Args:
            what: The fault of the answer; continues `upstream /path`.

        Raises:
            UpstreamError: no attempt is left.
        """
        await self._wait_after(self._failed(what, upstream_status=_OK))

    async def _attempt(self) -> bytes | None:
        calls = self._calls
        self._check_line()
        timeout_ms = await calls.admitted()
        if timeout_ms <= 0:
            raise self._late()
        self._attempts += 1
        began_ms = calls.clock.now_ms()
        try:
            answer = await calls.send(self._target, timeout_ms)
        except HttpTimeout as failure:
            what = f"did not answer within {timeout_ms} ms"
            raise UpstreamTimeout(self._detail(what), retryable=True) from failure
        except HttpTooLarge as failure:
            what = f"sent a larger answer than the Worker reads: {failure}"
            error = AnswerTooLarge if self._is_large else UpstreamTooLarge
            raise error(f"upstream {self._target.path} {what}") from failure
        except HttpCut as failure:
            what = f"gave no whole answer ({self._redacted(failure)})"
            if not self._is_large:
                raise self._failed(what) from failure
            raise AnswerCut(self._detail(what), retryable=True) from failure
        except HttpFailure as failure:
            what = f"gave no whole answer ({self._redacted(failure)})"
            raise self._failed(what) from failure
        self.took_ms = elapsed_ms(began_ms, calls.clock.now_ms())
        if await calls.blames_token(answer):
            what = "answered 500, and 500 to the list of sites as well"
            detail = f"upstream {self._target.path} {what}: {self._token_text(_SUSPECT_TEXT)}"
            raise UpstreamError(detail, upstream_status=_FAULT)
        return self._judged(answer)

    def _check_line(self) -> None:
        """Raise an UpstreamError where servers would refuse the request for its length."""
        settings = self._calls.settings
        line_bytes = self._target.line_bytes(settings.base_url)
        if line_bytes > settings.request_line_max:
            raise UpstreamError(
                f"upstream {self._target.path[:_FAILURE_TEXT_MAX]} was not asked: the request line "
                f"would have {line_bytes} bytes, limit {settings.request_line_max}"
            )

    def _judged(self, answer: HttpAnswer) -> bytes | None:
        """Return the body, or raise the error that the status stands for."""
        status = answer.status
        if status == _OK:
            return answer.body
        if status == _NOT_FOUND and self._may_be_absent:
            return None
        what = f"answered {status}"
        if status == _LIMITED:
            raise self._limited(answer, what)
        if status >= _FAULT or status == _NOT_FOUND:
            wait_ms = self._asked_wait_ms(answer)
            raise self._failed(what, upstream_status=status, wait_ms=wait_ms)
        site = self._target.site
        if status == _FORBIDDEN and site is not None:
            raise UpstreamSiteUnknown(
                f"the upstream knows no site {site!r}, or the Worker's token may not read it",
                upstream_status=status,
            )
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            what = f"{what}: {self._token_text(_REFUSED_TEXT)}"
        elif _OK < status < _REDIRECT:
            what += "; only 200 has an answer"
        elif _REDIRECT <= status < _REFUSAL:
            what += ": a redirect, which is not followed"
        raise UpstreamError(f"upstream {self._target.path} {what}", upstream_status=status)

    def _token_text(self, fault: str) -> str:
        """Return *fault*, or that there is no token, with the secret's name."""
        has_token = self._calls.settings.token is not None
        return f"{fault if has_token else 'the Worker has no token'} (ACE_API_TOKEN)"

    def _asked_wait_ms(self, answer: HttpAnswer) -> int | None:
        """Return how long the upstream asks to wait, where it does."""
        headers = answer.headers
        now_ms = self._calls.clock.now_ms()
        return parse_retry_after(headers.get("retry-after"), now_ms, date=headers.get("date"))

    def _limited(self, answer: HttpAnswer, what: str) -> UpstreamLimited:
        calls = self._calls
        wait_ms = self._asked_wait_ms(answer)
        if calls.gate is not None:
            calls.gate.limited(wait_ms)
        return UpstreamLimited(
            self._detail(what),
            upstream_status=_LIMITED,
            retryable=True,
            retry_after_s=_whole_seconds(wait_ms),
        )

    async def _wait_after(self, failure: UpstreamError) -> None:
        """Wait before the next attempt, or raise *failure* when no attempt is left."""
        calls, settings = self._calls, self._calls.settings
        if not failure.retryable or self._attempts > settings.max_retries:
            raise failure
        delay_ms = backoff_ms(
            self._attempts,
            base_ms=settings.retry_delay_ms,
            max_ms=settings.retry_delay_max_ms,
            jitter=calls.clock.jitter(),
        )
        if failure.retry_after_s is not None:
            # The jitter spreads the retries of calls that were refused together.
            delay_ms += failure.retry_after_s * 1000
        now_ms = calls.clock.now_ms()
        begins_by_ms = None if calls.deadline_ms is None else calls.deadline_ms - ATTEMPT_MS_MIN
        if begins_by_ms is not None and now_ms + delay_ms > begins_by_ms:
            raise failure
        if calls.deadline_ms is None and (failure.retry_after_s or 0) * 1000 > RETRY_AFTER_MAX_MS:
            raise failure
        await calls.clock.sleep(delay_ms)

    def _failed(
        self, what: str, *, upstream_status: int | None = None, wait_ms: int | None = None
    ) -> UpstreamError:
        return UpstreamError(
            self._detail(what),
            upstream_status=upstream_status,
            retryable=True,
            retry_after_s=_whole_seconds(wait_ms),
        )

    def _late(self) -> UpstreamTimeout:
        what = "did not answer within the time allowed"
        return UpstreamTimeout(self._detail(what), retryable=True)

    def _detail(self, what: str) -> str:
        plural = "" if self._attempts == 1 else "s"
        return f"upstream {self._target.path} {what} after {self._attempts} attempt{plural}"

    def _redacted(self, failure: HttpFailure) -> str:
        """Return the failure's text without the token: it comes from the HTTP client."""
        text = str(failure) or "no reason given"
        token = self._calls.settings.token
        return (text.replace(token, "***") if token else text)[:_FAILURE_TEXT_MAX]


def _whole_seconds(wait_ms: int | None) -> int | None:
    """Return a wait in seconds, none too short."""
    return None if wait_ms is None else -(-wait_ms // 1000)
