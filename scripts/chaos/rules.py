"""
What may be answered: each rule says of one answer what is wrong with it.

Pure: they see an answer, the truth and the faults of the time, and touch nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.follow_rules import FollowRule, follow_rule, judge_known_until
from chaos.oracle import ABSENT, CLOCK_MS, PointHistory, Policy, Truth, Value
from chaos.reading import (
    CONTENT_TYPES,
    Table,
    Unreadable,
    is_ascending,
    number_of,
    point_of_row,
    read_table,
    shown,
)
from chaos.sightings import Sighting, text_of
from integration.harness.oracle import iso

PROBLEM_TYPE = "application/problem+json"
CACHE_STATUSES = {"hit", "partial", "miss", "bypass", "stale"}
# From so many points on, an answer has the range's ends and extremes.
EXTREMES_FROM = 4
SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """
    One answer.

    Attributes:
        headers: Names in lower case.
        body: Decompressed.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Inquiry:
    """
    What was asked for, and when.

    Attributes:
        points: In the order asked, each once.
        format: One of reading.FORMATS.
        max_points: None for all samples.
        asked_ms: When it was asked for: freshness counts from then.
        request_ms: When the request began: purges acknowledged before count. For the result of a
            job it is later than asked_ms.
        since_ms: Nothing older may be shown by an answer that used no cache.
        answered_ms: When the whole answer was there.
        is_failing: Whether the upstream failed at a time that explains a stale answer.
        route: None where the Worker chooses.
        is_fresh: Whether what came after a last round was asked for.
    """

    site: str
    points: tuple[str, ...]
    start_ms: int
    end_ms: int
    format: str
    max_points: int | None
    asked_ms: int
    request_ms: int
    since_ms: int
    answered_ms: int
    is_failing: bool
    route: str | None = None
    is_fresh: bool = False


@dataclass(slots=True)
class Verdict:
    """
    What is wrong with an answer, by rule and text, and which versions of samples it showed.

    Attributes:
        status: Of the cache, as the answer says.
        table: None where it could not be read.
        rule: What follows of the site's being followed; None where nobody can have taken it for so.
    """

    faults: list[tuple[str, str]]
    sightings: list[Sighting]
    status: str = ""
    table: Table | None = None
    rule: FollowRule | None = None


def judge_samples(truth: Truth, policy: Policy, asked: Inquiry, reply: Reply) -> Verdict:
    """Judge an answer of status 200 with samples."""
    verdict = Verdict([], [], status=reply.headers.get("x-cache-status", ""))
    faults = verdict.faults
    if reply.headers.get("content-type") != CONTENT_TYPES[asked.format]:
        faults.append(("format", f"content type {reply.headers.get('content-type')}"))
        return verdict
    try:
        table = read_table(asked.format, reply.body)
    except Unreadable as error:
        faults.append(("format", str(error)))
        return verdict
    verdict.table = table
    verdict.rule = follow_rule(truth, asked, table.meta)
    faults += _of_headers(asked, reply)
    if table.meta is not None:
        faults += _of_meta(asked, reply, table, table.meta)
        faults += judge_known_until(verdict.rule, table.meta, asked.answered_ms)
    faults += _of_points(truth, policy, asked, table)
    for point in asked.points:
        _judge_point(truth, policy, asked, point, verdict)
    return verdict


def _of_headers(asked: Inquiry, reply: Reply) -> Iterator[tuple[str, str]]:
    status, route = reply.headers.get("x-cache-status"), reply.headers.get("x-route-type")
    if status not in CACHE_STATUSES:
        yield "headers", f"X-Cache-Status is {status}"
    if status == "stale" and not asked.is_failing:
        yield "stale", "the answer is stale, and nothing was wrong with the upstream"
    if asked.route not in (None, route):
        yield "headers", f"X-Route-Type is {route}, asked for {asked.route}"
    hit = json.dumps(status in ("hit", "stale"))
    if reply.headers.get("x-cache-hit") != hit:
        yield "headers", f"X-Cache-Hit is {reply.headers.get('x-cache-hit')}, status {status}"
    if not reply.headers.get("x-request-duration", "").isdigit():
        yield "headers", f"X-Request-Duration is {reply.headers.get('x-request-duration')}"


def _of_meta(
    asked: Inquiry, reply: Reply, table: Table, meta: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    samples = sum(len(each) for each in table.samples.values())
    cache = meta.get("cache", {})
    expected = {
        "site": asked.site,
        "startTime": iso(asked.start_ms),
        "endTime": iso(asked.end_ms),
        "samplesCount": samples,
        "requestId": reply.headers.get("x-request-id"),
        "routeType": reply.headers.get("x-route-type"),
    }
    for name, value in expected.items():
        if meta.get(name) != value:
            yield "meta", f"{name} is {meta.get(name)!r}, expected {value!r}"
    if cache.get("status") != reply.headers.get("x-cache-status"):
        yield "meta", f"cache.status is {cache.get('status')!r}"
    if cache.get("status") == "hit" and cache["samplesFetched"]:
        yield "meta", f"a hit fetched: {cache}"
    # What a long fetch has stored while it went on counts as from the cache, too.
    if cache.get("status") == "miss" and cache["samplesFromCache"] > cache["samplesFetched"]:
        yield "meta", f"a miss has samples from the cache: {cache}"
    # A hit may have sent a request that only found out that the site has no such point.
    fetched, kept = cache.get("samplesFetched", 0), cache.get("samplesFromCache", 0)
    if kept + fetched != samples:
        yield "meta", f"{fetched} fetched, {kept} from the cache, the answer has {samples}"
    for name, count in table.counts.items():
        if count != len(table.samples[name]):
            yield "meta", f"count of {name} is {count}, it has {len(table.samples[name])}"


def _of_points(
    truth: Truth, policy: Policy, asked: Inquiry, table: Table
) -> Iterator[tuple[str, str]]:
    found, meant = list(table.samples), list(asked.points)
    if table.counts:
        if found != meant:
            yield "points", f"the points are {found}"
    else:
        shown_names = [point_of_row(name) if asked.format == "csv" else name for name in meant]
        if [name for name in shown_names if name in table.samples] != found:
            yield "points", f"the rows' points are {found}"
    since_ms = asked.asked_ms - policy.list_ms
    for name, error in table.errors.items():
        if error is None:
            # Where the list cannot be read, pages of the site tell what there is, and no names.
            is_told = not asked.is_failing
            if is_told and not truth.may_exist(asked.site, name, since_ms, asked.answered_ms):
                yield "points", f"{name} has no error, but never was the site's"
        elif not error.startswith("unknown point"):
            yield "points", f"error of {name}: {error}"
        elif not truth.may_be_unknown(asked.site, name, since_ms, asked.answered_ms):
            yield "points", f"{name} is called unknown, but the site has it"


def _judge_point(
    truth: Truth, policy: Policy, asked: Inquiry, point: str, verdict: Verdict
) -> None:
    """Judge one point's samples, and note the versions that were shown."""
    table, status, rule = verdict.table, verdict.status, verdict.rule
    assert table is not None
    row_name = point_of_row(point) if asked.format == "csv" else point
    samples = table.samples.get(row_name, [])
    since_ms = asked.asked_ms - policy.list_ms
    if table.errors.get(point) is not None:
        if samples:
            verdict.faults.append(("points", f"{point} is unknown, and has samples"))
        return
    if not samples and truth.may_be_unknown(asked.site, point, since_ms, asked.answered_ms):
        return
    if not is_ascending(samples):
        verdict.faults.append(("order", f"the samples of {point} are not in order, one per time"))
    if any(not asked.start_ms <= ms < asked.end_ms for ms, _ in samples):
        verdict.faults.append(("range", f"{point} has samples outside of the range"))
    seen = Seen(
        history=truth.history(asked.site, point),
        samples=dict(samples),
        since_ms=_since(truth, policy, asked, point, verdict),
        until_ms=asked.answered_ms + CLOCK_MS,
        format=asked.format,
        # While the runtime computes, its clock stands still, and lags behind the client's.
        young_ms=asked.asked_ms - CLOCK_MS if rule is None else rule.young_ms(asked.asked_ms),
    )
    times, wrong = _wrong(asked, seen, _missing(table.meta, status))
    if wrong:
        text = "; ".join(wrong[:SHOWN_MAX])
        verdict.faults.append(
            ("samples", f"{point}: {len(wrong)} of {times} wrong ({status}): {text}")
        )
    if status in ("hit", "partial", "miss"):
        verdict.sightings += seen.sightings(asked.site, point)
    # A stale answer may lack some, which formats without `_meta` cannot name.
    if asked.max_points is not None and status != "stale":
        verdict.faults += _of_choice(asked, seen, point)


def _wrong(
    asked: Inquiry, seen: Seen, missing: Sequence[Sequence[int]] | None
) -> tuple[int, list[str]]:
    """Return how many times were looked at, and what is wrong with the samples of some."""
    times = set(seen.samples)
    if asked.max_points is None:
        times |= set(seen.history.times(asked.start_ms, asked.end_ms))
    wrong = []
    for ms in sorted(times):
        fault = seen.fault(ms)
        is_to_come = ms >= seen.young_ms
        is_lacking = ms not in seen.samples and (
            is_to_come or missing is None or _lies_in(ms, missing)
        )
        if fault and not is_lacking:
            wrong.append(fault)
    return len(times), wrong


def _since(
    truth: Truth, policy: Policy, asked: Inquiry, point: str, verdict: Verdict
) -> Callable[[int], int]:
    """Return what gives of each instant the oldest moment that may be shown of it."""
    floor, rule = truth.floor(asked.site, point, asked.request_ms), verdict.rule
    if asked.route == "direct" or verdict.status == "bypass":
        return lambda at_ms: max(asked.since_ms, floor(at_ms))
    is_stale = verdict.status == "stale"

    def since_ms(at_ms: int) -> int:
        oldest_ms = policy.since_ms(at_ms, min(asked.asked_ms, asked.since_ms), is_stale=is_stale)
        if rule is not None:
            left_ms = policy.since_ms(at_ms, rule.begun_ms, is_stale=False)
            oldest_ms = rule.since_ms(at_ms, oldest_ms, left_ms)
        return max(oldest_ms, floor(at_ms))

    return since_ms


def _missing(meta: Mapping[str, Any] | None, status: str) -> Sequence[Sequence[int]] | None:
    """Return the ranges that a stale answer says it lacks; None where it cannot say so."""
    if status != "stale":
        return ()
    if meta is None:
        return None
    ranges: Sequence[Sequence[int]] = meta["cache"].get("missing", ())
    return ranges


def _lies_in(ms: int, ranges: Sequence[Sequence[int]]) -> bool:
    return any(start_ms <= ms < end_ms for start_ms, end_ms in ranges)


@dataclass(slots=True)
class Seen:
    """A point's samples in an answer, beside what they may be; young ones may be missing."""

    history: PointHistory
    samples: Mapping[int, object]
    since_ms: Callable[[int], int]
    until_ms: int
    format: str
    young_ms: int

    def fault(self, ms: int) -> str | None:
        """Return what is wrong with the sample of a time, there or not."""
        versions = self.history.versions(ms)
        found = self.samples.get(ms, ABSENT)
        if len(versions) == 1 and self._is(found, versions[0].value):
            return None
        allowed = self.history.visible(ms, self.since_ms(ms), self.until_ms)
        if any(self._is(found, value) for value in allowed):
            return None
        every = [version.value for version in versions]
        kind = "invented"
        if any(self._is(found, value) for value in every):
            kind = "missing" if found is ABSENT else "out of date"
        elif found is ABSENT:
            kind = "missing"
        return (
            f"{kind}: {iso(ms)} is {text_of(found)}, expected {' or '.join(map(text_of, allowed))}"
        )

    def sightings(self, site: str, point: str) -> Iterator[Sighting]:
        """Yield which versions the samples are, where they changed ever and can be but one."""
        for ms, found in self.samples.items():
            versions = self.history.versions(ms)
            if len(versions) == 1:
                continue
            same = [version for version in versions if self._is(found, version.value)]
            if len(same) == 1:
                yield Sighting(site, point, ms, same[0])

    def certain(self, start_ms: int, end_ms: int) -> list[tuple[int, object]] | None:
        """Return the only samples that may be there, None where several may."""
        result: list[tuple[int, object]] = []
        for ms in self.history.times(start_ms, end_ms):
            allowed = self.history.visible(ms, self.since_ms(ms), self.until_ms)
            if len(allowed) != 1:
                return None
            if allowed[0] is not ABSENT:
                result.append((ms, shown(allowed[0], self.format)))
        return result

    def _is(self, found: object, value: Value) -> bool:
        if value is ABSENT or found is ABSENT:
            return value is found
        return bool(found == shown(value, self.format))


def _of_choice(asked: Inquiry, seen: Seen, point: str) -> Iterator[tuple[str, str]]:
    """Judge which samples `max_points` has chosen."""
    assert asked.max_points is not None
    if len(seen.samples) > asked.max_points:
        yield "max_points", f"{point} has {len(seen.samples)} samples, asked {asked.max_points}"
    every = seen.certain(asked.start_ms, asked.end_ms)
    if seen.history.times(seen.young_ms, asked.end_ms):
        # As in _wrong: those of this very moment may be missing.
        return
    if every is None or asked.max_points < EXTREMES_FROM:
        return
    if len(every) <= asked.max_points and len(seen.samples) != len(every):
        yield "max_points", f"{point} has {len(seen.samples)} samples of {len(every)}"
        return
    if not every:
        return
    if not {every[0][0], every[-1][0]} <= seen.samples.keys():
        yield "max_points", f"{point} lacks the first or the last sample"
    numbers = [number for _, value in every if (number := number_of(value)) is not None]
    kept = {number_of(value) for value in seen.samples.values()}
    if numbers and not {min(numbers), max(numbers)} <= kept:
        yield "max_points", f"{point} lacks {min(numbers)} or {max(numbers)}"


def judge_problem(reply: Reply) -> Iterator[tuple[str, str]]:
    """Judge the document of an answer of 400 and above, whatever its status."""
    if reply.headers.get("content-type") != PROBLEM_TYPE:
        yield "problem", f"{reply.status} is no problem document: {reply.body[:200]!r}"
        return
    try:
        document = json.loads(reply.body)
    except ValueError:
        yield "problem", f"{reply.status} cannot be read: {reply.body[:200]!r}"
        return
    if document.get("status") != reply.status:
        yield "problem", f"{reply.status} says {document.get('status')}"
    if not reply.headers.get("x-request-id") or (
        document.get("requestId") != reply.headers["x-request-id"]
    ):
        yield "problem", f"requestId is {document.get('requestId')!r}"
    if not document.get("detail") or document.get("error") != document.get("detail"):
        yield "problem", f"detail and error: {reply.body[:200]!r}"
    if "Traceback" in reply.body.decode(errors="replace"):
        yield "problem", "it shows a stack trace"
    if reply.status == 400 and not document.get("errors"):
        yield "problem", "a 400 that does not say what is wrong"
