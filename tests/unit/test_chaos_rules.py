"""Each rule catches the difference that it is there for, in every format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import pytest

from chaos.oracle import CLOCK_MS, PointHistory, Policy, Purge, Truth
from chaos.reading import CONTENT_TYPES, FORMATS
from chaos.rules import Inquiry, Reply, Verdict, judge_problem, judge_samples
from chaos.sightings import Memory, Sighting
from integration.harness.oracle import iso

START_MS = 1_735_689_600_000
NOW_MS = START_MS + 10**9
POLICY = Policy(
    trust_ratio=2.0,
    trust_max_ms=10_000,
    grace_ms=5_000,
    unread_ms=1,
    wait_ms=0,
    list_ms=60_000,
)
SAMPLES = {START_MS + number * 1000: f"{number}.50" for number in range(6)}
ASKED = Inquiry(
    site="s",
    points=("p", "q, r"),
    start_ms=START_MS,
    end_ms=START_MS + 60_000,
    format="json",
    max_points=None,
    asked_ms=NOW_MS,
    request_ms=NOW_MS,
    since_ms=NOW_MS,
    answered_ms=NOW_MS + 50,
    is_failing=False,
)
Rows = dict[str, list[tuple[int, str]]]
ROWS: Rows = {"p": list(SAMPLES.items()), "q, r": [(START_MS, "on")]}
Edit = Callable[[Rows], object]


def truth() -> Truth:
    """Return a site whose point p was corrected at its second sample 20 s ago."""
    made = Truth()
    p, q = PointHistory(), PointHistory()
    p.begin(SAMPLES)
    second_ms = START_MS + 1000
    p.begin({**SAMPLES, second_ms: "9.90"})
    moment_ms = NOW_MS - 20_000
    p.change(second_ms, SAMPLES[second_ms], began_ms=moment_ms, settled_ms=moment_ms)
    q.begin({START_MS: "on"})
    made.points["s"] = {"p": p, "q, r": q}
    for name in made.points["s"]:
        made.existence["s", name] = PointHistory()
        made.existence["s", name].begin({0: "yes"})
    return made


def number(text: str) -> Any:
    """Return a value as JSON would read it."""
    try:
        return float(text)
    except ValueError:
        return text


def body_of(format: str, rows: Rows, **meta: Any) -> bytes:
    """Return rows as a body of a format."""
    if format == "csv":
        lines = ["time,point,value"]
        for name, samples in rows.items():
            shown = f'"{name}"' if "," in name else name
            lines += [f"{iso(ms)},{shown},{value}" for ms, value in samples]
        return "".join(f"{line}\r\n" for line in lines).encode()
    if format == "ndjson":
        return b"".join(
            b'{"point":%s,"time":"%s","value":%s}\n'
            % (json.dumps(name).encode(), iso(ms).encode(), raw(value).encode())
            for name, samples in rows.items()
            for ms, value in samples
        )
    count = sum(len(samples) for samples in rows.values())
    cache = {"status": "hit", "samplesFromCache": count, "samplesFetched": 0}
    document: dict[str, Any] = {
        "site": "s",
        "startTime": iso(START_MS),
        "endTime": iso(START_MS + 60_000),
        "samplesCount": count,
        "requestId": "r1",
        "routeType": "cached",
        "cache": {**cache, "upstreamRequests": 0},
        **meta,
    }
    if format == "msgpack":
        data: dict[str, Any] = {
            name: {
                "samples": [[ms, number(value)] for ms, value in samples],
                "count": len(samples),
                "error": None,
            }
            for name, samples in rows.items()
        }
        return bytes(msgpack.packb({"data": data, "_meta": document}))
    parts = ",".join(
        f'{json.dumps(name)}:{{"samples":[{",".join(f"[{ms},{raw(v)}]" for ms, v in samples)}],'
        f'"count":{len(samples)},"error":null}}'
        for name, samples in rows.items()
    )
    return f'{{"data":{{{parts}}},"_meta":{json.dumps(document)}}}'.encode()


def raw(value: str) -> str:
    """Return a value as JSON text, a number with its digits."""
    return value if isinstance(number(value), float) else json.dumps(value)


def reply(format: str, body: bytes, status: str = "hit") -> Reply:
    """Return a body as a whole answer."""
    headers = {
        "content-type": CONTENT_TYPES[format],
        "x-cache-status": status,
        "x-cache-hit": json.dumps(status in ("hit", "stale")),
        "x-route-type": "cached",
        "x-request-duration": "5",
        "x-request-id": "r1",
    }
    return Reply(200, headers, body)


def judge(format: str = "json", edit: Edit = lambda rows: None, **changed: Any) -> Verdict:
    """Judge an answer that an edit has spoilt."""
    rows = {name: list(samples) for name, samples in ROWS.items()}
    edit(rows)
    return judge_samples(
        truth(),
        POLICY,
        replace(ASKED, format=format, **changed),
        reply(format, body_of(format, rows)),
    )


def rules(verdict: Verdict) -> set[str]:
    """Return the rules that were broken."""
    return {rule for rule, _ in verdict.faults}


@pytest.mark.parametrize("format", FORMATS)
def test_a_right_answer_breaks_no_rule(format: str) -> None:
    """What the upstream has is right in each format."""
    assert [] == judge(format).faults


def change(rows: Rows, at: int, value: str) -> None:
    """Give a sample another value."""
    rows["p"][at] = (rows["p"][at][0], value)


EDITS: dict[str, tuple[str, Edit]] = {
    "invented": ("samples", lambda rows: change(rows, 3, "77.00")),
    "added": ("samples", lambda rows: rows["p"].insert(1, (START_MS + 1, "5.00"))),
    "missing": ("samples", lambda rows: rows["p"].pop(2)),
    "truncated": ("samples", lambda rows: rows["p"].pop()),
    "out of date": ("samples", lambda rows: change(rows, 1, "9.90")),
    "another text": ("samples", lambda rows: rows.update({"q, r": [(START_MS, "off")]})),
    "disorder": ("order", lambda rows: rows["p"].reverse()),
    "twice": ("order", lambda rows: rows["p"].insert(0, rows["p"][0])),
    "outside": ("range", lambda rows: rows["p"].append((START_MS + 60_000, "1.00"))),
    "exchanged": ("points", lambda rows: rows.update({"p": rows.pop("p")})),
}


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("format", FORMATS)
def test_a_spoilt_answer_is_caught(format: str, kind: str) -> None:
    """An answer that is wrong in one sample breaks the rule for it, in each format."""
    rule, edit = EDITS[kind]
    assert rule in rules(judge(format, edit))


@pytest.mark.parametrize("format", ["json", "csv", "ndjson"])
def test_lost_digits_are_caught(format: str) -> None:
    """45.50 is not 45.5, where the format shows digits."""
    assert {"samples"} == rules(judge(format, lambda rows: change(rows, 3, "3.5")))


@pytest.mark.parametrize("format", FORMATS)
def test_a_cut_body_is_caught(format: str) -> None:
    """A stream that ends in the middle of a row is not whole."""
    body = body_of(format, ROWS)[:-7]
    verdict = judge_samples(truth(), POLICY, replace(ASKED, format=format), reply(format, body))
    assert "format" in rules(verdict)


def test_what_freshness_allows_is_no_difference() -> None:
    """A value from before a correction may be shown while what was fetched then may live."""
    old = replace(ASKED, asked_ms=NOW_MS - 9_000, since_ms=NOW_MS - 9_000)
    rows = {name: list(samples) for name, samples in ROWS.items()}
    change(rows, 1, "9.90")
    answer = reply("json", body_of("json", rows))
    assert [] == judge_samples(truth(), POLICY, old, answer).faults
    purged = truth()
    purged.purges.append(Purge("s", None, None, None, NOW_MS - 15_000, NOW_MS - 14_000))
    assert {"samples"} == rules(judge_samples(purged, POLICY, old, answer))


def test_an_answer_without_the_cache_shows_the_present() -> None:
    """The direct route may show nothing older than the requests that were under way."""
    rows = {name: list(samples) for name, samples in ROWS.items()}
    change(rows, 1, "9.90")
    answer = reply("json", body_of("json", rows, routeType="direct"))
    answer = replace(answer, headers={**answer.headers, "x-route-type": "direct"})
    direct = replace(ASKED, route="direct", asked_ms=NOW_MS - 9_000, since_ms=NOW_MS - 9_000)
    assert {"samples"} == rules(judge_samples(truth(), POLICY, direct, answer))
    shared = replace(direct, since_ms=NOW_MS - 20_000)
    assert [] == judge_samples(truth(), POLICY, shared, answer).faults


def test_stale_needs_a_failing_upstream() -> None:
    """A stale answer is a difference unless something was wrong; it may name what it lacks."""
    rows = {name: list(samples) for name, samples in ROWS.items()}
    rows["p"].pop()
    missing = [[START_MS + 5000, START_MS + 6000]]
    cache = {"status": "stale", "samplesFromCache": 6, "samplesFetched": 0, "missing": missing}
    answer = reply("json", body_of("json", rows, cache=cache), "stale")
    assert {"stale"} == rules(judge_samples(truth(), POLICY, ASKED, answer))
    failing = replace(ASKED, is_failing=True)
    assert [] == judge_samples(truth(), POLICY, failing, answer).faults
    cache["missing"] = []
    silent = reply("json", body_of("json", rows, cache=cache), "stale")
    assert {"samples"} == rules(judge_samples(truth(), POLICY, failing, silent))


@pytest.mark.parametrize(
    "meta",
    [
        {"samplesCount": 6},
        {"site": "t"},
        {"startTime": iso(START_MS + 1)},
        {"requestId": "r2"},
        {"cache": {"status": "miss", "samplesFromCache": 7, "samplesFetched": 0}},
        {"cache": {"status": "hit", "samplesFromCache": 6, "samplesFetched": 1}},
        {"cache": {"status": "hit", "samplesFromCache": 3, "samplesFetched": 0}},
        {"cache": {"status": "partial", "samplesFromCache": 8, "samplesFetched": 0}},
        {"cache": {"status": "partial", "samplesFromCache": 3, "samplesFetched": 3}},
    ],
)
def test_wrong_figures_are_caught(meta: dict[str, Any]) -> None:
    """What an answer says of itself must agree with its headers and its samples."""
    cache = meta.get("cache")
    if cache is not None:
        cache["upstreamRequests"] = 0
    status = cache["status"] if cache is not None else "hit"
    answer = reply("json", body_of("json", ROWS, **meta), status)
    assert {"meta"} == rules(judge_samples(truth(), POLICY, ASKED, answer))


def test_what_was_fetched_along_does_not_count() -> None:
    """Samples that others asked for are none of the answer; a hit may have looked in vain."""
    along = {"status": "partial", "samplesFromCache": 3, "samplesFetched": 9, "upstreamRequests": 1}
    answer = reply("json", body_of("json", ROWS, cache=along), "partial")
    assert {"meta"} == rules(judge_samples(truth(), POLICY, ASKED, answer))
    vain = {"status": "hit", "samplesFromCache": 7, "samplesFetched": 0, "upstreamRequests": 1}
    answer = reply("json", body_of("json", ROWS, cache=vain))
    assert [] == judge_samples(truth(), POLICY, ASKED, answer).faults


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-cache-status", "warm"), ("x-cache-hit", "false"), ("x-request-duration", "-3")],
)
def test_wrong_headers_are_caught(name: str, value: str) -> None:
    """Each header that an answer must have is looked at."""
    answer = reply("csv", body_of("csv", ROWS))
    answer = replace(answer, headers={**answer.headers, name: value})
    asked = replace(ASKED, format="csv")
    assert {"headers"} == rules(judge_samples(truth(), POLICY, asked, answer))


def chosen(*numbers: int) -> Edit:
    """Return the edit that leaves these samples of p."""

    def edit(rows: Rows) -> None:
        rows["p"] = [rows["p"][at] for at in numbers]

    return edit


def test_chosen_samples_have_the_ends_and_the_extremes() -> None:
    """With `max_points` from 4 up, first, last, smallest and largest are there; all are true."""
    assert [] == judge("json", chosen(0, 2, 4, 5), max_points=4).faults
    assert {"max_points"} == rules(judge("json", chosen(0, 2, 4), max_points=4))
    assert {"max_points"} == rules(judge("json", chosen(0, 1, 2, 3, 5), max_points=4))
    assert {"max_points"} == rules(judge("json", chosen(0, 5), max_points=50))
    assert [] == judge("json", chosen(2), max_points=3).faults


def test_a_lost_extreme_is_caught() -> None:
    """The largest value in the middle of the range is missed."""
    made = truth()
    made.points["s"]["p"].begin({**SAMPLES, START_MS + 3000: "99.50"})
    rows = {"p": [ROWS["p"][at] for at in (0, 2, 4, 5)], "q, r": ROWS["q, r"]}
    asked = replace(ASKED, max_points=4)
    verdict = judge_samples(made, POLICY, asked, reply("json", body_of("json", rows)))
    assert {"max_points"} == rules(verdict)


def unknown(name: str) -> Reply:
    """Return an answer that calls a point unknown."""
    document = json.loads(body_of("json", {**ROWS, name: []}))
    document["data"][name]["error"] = "unknown point"
    return reply("json", json.dumps(document).encode())


def test_a_point_is_unknown_only_where_it_may_be() -> None:
    """Whoever never was is unknown; whoever the list must have is not."""
    asked = replace(ASKED, points=("p", "q, r", "never"))
    # json.dumps of the numbers loses digits, which is another rule's concern.
    assert {"samples"} == rules(judge_samples(truth(), POLICY, asked, unknown("never")))
    made = truth()
    made.existence["s", "never"] = PointHistory()
    made.existence["s", "never"].begin({0: "yes"})
    found = rules(judge_samples(made, POLICY, asked, unknown("never")))
    assert {"samples", "points"} == found
    plain = reply("json", body_of("json", {**ROWS, "never": []}))
    assert {"points"} == rules(judge_samples(truth(), POLICY, asked, plain))
    # Nobody can tell while the list cannot be read.
    failing = replace(asked, is_failing=True)
    assert set() == rules(judge_samples(truth(), POLICY, failing, plain))


def test_a_sample_of_this_very_moment_may_be_missing() -> None:
    """The Worker's clock stands still while it computes; what is older must be there."""
    rows = {**ROWS, "p": list(SAMPLES.items())[:-1]}
    last_ms = max(SAMPLES)
    answer = reply("json", body_of("json", rows))
    now = replace(ASKED, asked_ms=last_ms + CLOCK_MS, request_ms=last_ms + CLOCK_MS)
    assert set() == rules(judge_samples(truth(), POLICY, now, answer))
    later = replace(now, asked_ms=last_ms + CLOCK_MS + 1)
    assert {"samples"} == rules(judge_samples(truth(), POLICY, later, answer))


def test_a_client_that_goes_back_in_time_is_told() -> None:
    """An older version after a newer one is a difference; the same again and newer ones not."""
    history = truth().history("s", "p")
    older, newer = history.versions(START_MS + 1000)
    first, second = (Sighting("s", "p", START_MS + 1000, each) for each in (older, newer))
    memory = Memory()
    assert [] == list(memory.faults([first], 1))
    assert [] == list(memory.faults([second], 1))
    assert [] == list(memory.faults([second], 1))
    assert ["going_back"] == [rule for rule, _ in memory.faults([first], 1)]


def test_answers_are_sighted() -> None:
    """A sample that changed ever is sighted as the version it shows."""
    (sighting,) = judge().sightings
    assert (START_MS + 1000, "1.50") == (sighting.at_ms, sighting.version.value)


PROBLEM = {"status": 502, "requestId": "r1", "detail": "no", "error": "no"}


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (PROBLEM, "text/html"),
        ({**PROBLEM, "status": 500}, "application/problem+json"),
        ({**PROBLEM, "requestId": "r2"}, "application/problem+json"),
        ({**PROBLEM, "detail": ""}, "application/problem+json"),
        ({**PROBLEM, "error": "Traceback"}, "application/problem+json"),
    ],
)
def test_an_odd_problem_is_caught(document: dict[str, Any], content_type: str) -> None:
    """A failure is a problem document that agrees with itself, or a difference."""
    headers = {"content-type": content_type, "x-request-id": "r1"}
    answer = Reply(502, headers, json.dumps(document).encode())
    assert {"problem"} == {rule for rule, _ in judge_problem(answer)}
    right = replace(answer, body=json.dumps(PROBLEM).encode())
    right = replace(right, headers={**headers, "content-type": "application/problem+json"})
    assert [] == list(judge_problem(right))
