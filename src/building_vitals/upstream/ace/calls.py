"""
One call of the upstream: sends a request, checks the status, and retries while that may help.

Separate because retries, back-off, deadlines and limits are the same for every target.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from building_vitals.errors import UpstreamError, UpstreamLimited, UpstreamTimeout
from building_vitals.ports import Clock, HttpAnswer, HttpClient, HttpFailure, HttpTimeout
from building_vitals.upstream.ace.backoff import backoff_ms, parse_retry_after
from building_vitals.upstream.ace.settings import UpstreamSettings
from building_vitals.upstream.ace.targets import Target
from building_vitals.upstream.ace.wire import PageRefused
from building_vitals.upstream.port import UpstreamGate

ShapeT = TypeVar("ShapeT")

# Without a deadline, a longer Retry-After fails the call; the error says when to retry.
RETRY_AFTER_MAX_MS = 120_000

_FAILURE_TEXT_MAX = 200
_OK, _REDIRECT, _REFUSAL, _FAULT = 200, 300, 400, 500
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _LIMITED = 401, 403, 404, 429


class FetchReport(msgspec.Struct):
    """
    The cost of a fetch so far.

    Attributes:
        requests: Sent, those repeated included.
        samples_received: In all pages, surplus ones included.
        is_by_point: Whether some of it goes by calls by point, which know no sites.
    """

    requests: int = 0
    samples_received: int = 0
    is_by_point: bool = False


OnReport = Callable[[FetchReport], Awaitable[None]]


class AnswerCut(UpstreamError):
    """An answer began and did not come whole, or is too large: a smaller one may come."""


class Calls:
    """The ports, limits, deadline and counts that the calls of one fetch share."""

    def __init__(
        self,
        http: HttpClient,
        clock: Clock,
        settings: UpstreamSettings,
        gate: UpstreamGate | None,
        deadline_ms: int | None,
    ) -> None:
        self.http = http
        self.clock = clock
        self.settings = settings
        self.gate = gate
        self.deadline_ms = deadline_ms
        self.report = FetchReport()
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
                if self._is_large and isinstance(failure, AnswerCut):
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
        calls, settings = self._calls, self._calls.settings
        if calls.gate is not None:
            await calls.gate.admit(calls.deadline_ms)
        timeout_ms = settings.page_timeout_ms
        if calls.deadline_ms is not None:
            timeout_ms = min(timeout_ms, calls.deadline_ms - calls.clock.now_ms())
        if timeout_ms <= 0:
            raise self._late()
        self._attempts += 1
        calls.report.requests += 1
        began_ms = calls.clock.now_ms()
        try:
            answer = await calls.http.request(
                self._target.method,
                self._target.url(settings.base_url),
                headers=self._headers(),
                body=self._target.body,
                timeout_ms=timeout_ms,
            )
        except HttpTimeout as failure:
            what = f"did not answer within {timeout_ms} ms"
            raise UpstreamTimeout(self._detail(what), retryable=True) from failure
        except HttpFailure as failure:
            what = f"gave no whole answer ({self._redacted(failure)})"
            raise self._failed(what) from failure
        self.took_ms = max(0, calls.clock.now_ms() - began_ms)
        return self._judged(answer)

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
            raise self._failed(what, upstream_status=status)
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            has_token = self._calls.settings.token is not None
            what += ": it refuses the Worker's token" if has_token else ": the Worker has no token"
            detail = f"upstream {self._target.path} {what} (ACE_API_TOKEN)"
        elif _OK < status < _REDIRECT:
            detail = f"upstream {self._target.path} {what}; only 200 has an answer"
        elif _REDIRECT <= status < _REFUSAL:
            detail = f"upstream {self._target.path} {what}: a redirect, which is not followed"
        else:
            detail = f"upstream {self._target.path} {what}"
        raise UpstreamError(detail, upstream_status=status)

    def _limited(self, answer: HttpAnswer, what: str) -> UpstreamLimited:
        calls = self._calls
        wait_ms = parse_retry_after(answer.headers.get("retry-after"), calls.clock.now_ms())
        if calls.gate is not None:
            calls.gate.limited(wait_ms)
        return UpstreamLimited(
            self._detail(what),
            upstream_status=_LIMITED,
            retryable=True,
            retry_after_s=None if wait_ms is None else -(-wait_ms // 1000),
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
        if calls.deadline_ms is not None and now_ms + delay_ms >= calls.deadline_ms:
            raise failure
        if calls.deadline_ms is None and (failure.retry_after_s or 0) * 1000 > RETRY_AFTER_MAX_MS:
            raise failure
        await calls.clock.sleep(delay_ms)

    def _headers(self) -> dict[str, str]:
        if self._target.body is None:
            return self._calls.headers
        return {**self._calls.headers, "content-type": "application/json"}

    def _failed(self, what: str, *, upstream_status: int | None = None) -> UpstreamError:
        return UpstreamError(self._detail(what), upstream_status=upstream_status, retryable=True)

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
