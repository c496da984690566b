"""The fake upstream over real HTTP: its oracle, its log, and every wart it can show."""

import gzip
import http.client
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from demo.instants import parse_ms
from demo.traits import FAITHFUL, KIND, WORLDS
from fakes.upstream import (
    ANY_CALL,
    WORLD_VARIABLE,
    FakeUpstream,
    RawJson,
    default_traits,
    expected_value,
)
from fakes.upstream_series import Wire
from fakes.upstream_warts import RETRY_FORMS, WARTS, following_cursor

START_MS = 1_735_689_600_000  # 2025-01-01
END_MS = START_MS + 3_600_000
STEP_MS = 300_000
RANGE: dict[str, Any] = {"start_time": "2025-01-01T00:00:00Z", "end_time": "2025-01-01T01:00:00Z"}


@pytest.fixture(scope="module", params=sorted(WORLDS))
def fake(request: pytest.FixtureRequest) -> Iterator[FakeUpstream]:
    """One server of each world for all tests; each uses a site of its own."""
    with FakeUpstream(traits=WORLDS[request.param]) as upstream:
        yield upstream


@pytest.fixture
def site(fake: FakeUpstream, request: pytest.FixtureRequest) -> str:
    """A site of three generated points, one hour each."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    fake.add_generated(name, points=3, start_ms=START_MS, end_ms=END_MS)
    return name


def call(
    fake: FakeUpstream,
    path: str,
    *,
    body: str | None = None,
    bearer: str = "test-token",
    timeout_s: float = 20,
    **params: Any,
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of one request, a POST if it has a body."""
    parts = urlsplit(fake.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    target = f"{parts.path}{path}" + (f"?{urlencode(params)}" if params else "")
    try:
        connection.request(
            "POST" if body else "GET", target, body, {"authorization": f"Bearer {bearer}"}
        )
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)
    finally:
        connection.close()


def page(fake: FakeUpstream, site: str, **params: Any) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of one raw page."""
    asked = {**RANGE, "raw_data": "true", **params}
    return call(fake, f"/sites/{site}/timeseries/paginated", **asked)


def document(fake: FakeUpstream, site: str, **params: object) -> Any:
    """Return the document of one raw page."""
    status, body, _ = page(fake, site, **params)
    assert status == 200
    return json.loads(body)


def walk(fake: FakeUpstream, site: str, **params: object) -> list[dict[str, Any]]:
    """Return the documents of all pages, 100 at most; goes by the cursors that are given."""
    documents = [document(fake, site, **params)]
    while documents[-1]["has_more"] and len(documents) < 100:
        documents.append(document(fake, site, cursor=documents[-1]["next_cursor"], **params))
    return documents


def understood(documents: list[dict[str, Any]], names: list[str]) -> dict[str, list[list[Any]]]:
    """Return what a careful client makes of pages: filter, cut, last duplicate wins, sort."""
    result: dict[str, dict[int, Any]] = {name: {} for name in names}
    for one in documents:
        for sample in one["point_samples"]:
            ms = _instant_ms(sample["time"])
            if ms is not None and sample["name"] in result and START_MS <= ms < END_MS:
                result[sample["name"]][ms] = expected_value(sample["value"])
    return {name: [[ms, values[ms]] for ms in sorted(values)] for name, values in result.items()}


def _instant_ms(text: object) -> int | None:
    """Return the instant of a time, None where it cannot be read; a time without zone is UTC."""
    try:
        return parse_ms(str(text))
    except ValueError:
        return None


def oracle(fake: FakeUpstream, site: str, names: list[str]) -> dict[str, list[list[Any]]]:
    """Return what is expected of points."""
    return {name: fake.expected(site, name, START_MS, END_MS) for name in names}


def names_of(fake: FakeUpstream, site: str) -> list[str]:
    """Return the names of a site's points as the upstream lists them."""
    _, body, _ = call(fake, f"/sites/{site}/configured_points")
    return [item["name"] for item in json.loads(body)["items"]]


def until(holds: Callable[[], bool]) -> None:
    """Wait until *holds*, at most 20 s."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_expected_values() -> None:
    """Numeric strings become numbers where a double comes near; NaN and infinities are null."""
    numbers: list[Wire] = ["45.50", "-7", "1e3", "+5", ".5", "5.", " 6\n", 7.25, RawJson("45.50")]
    others: list[Wire] = ["occupied", "", "05", "1_0", "0x1F", "٣", "5 5", True, False, None]
    beyond: list[Wire] = ["123E4567", "12E-4567", " 1e999", "9" * 400]
    zeros: list[Wire] = ["0", "-0.0", "0e-999"]
    not_finite: list[Wire] = [
        "NaN", "-Infinity", " nan", math.nan, math.inf, RawJson("NaN"), RawJson("1e999"), 10**400,
    ]  # fmt: skip

    assert [expected_value(value) for value in numbers] == [45.5, -7, 1e3, 5, 0.5, 5, 6, 7.25, 45.5]
    assert [expected_value(value) for value in others] == others
    assert [expected_value(value) for value in beyond] == beyond
    assert [expected_value(value) for value in zeros] == [0, 0, 0]
    assert [expected_value(value) for value in not_finite] == [None] * len(not_finite)


def test_explicit_samples_travel_as_given(fake: FakeUpstream) -> None:
    """Values go on the wire as given, by time then name; the last duplicate is expected."""
    fake.set_points(
        "explicit",
        {
            "b, π/😀": [(START_MS + 1, "2.50"), (START_MS, True)],
            "a": [(START_MS, "1"), (START_MS, "NaN"), (END_MS, "9"), (START_MS - 1, "8")],
            "c": [(START_MS, RawJson("4.50")), (START_MS + 5, None)],
            "empty": [],
        },
    )
    _, body, _ = page(fake, "explicit")
    samples = [(one["name"], one["value"]) for one in json.loads(body)["point_samples"]]

    is_inclusive = fake.traits.ends == "inclusive"
    assert samples == [
        ("a", "1"), ("a", "NaN"), ("b, π/😀", True), ("c", 4.5), ("b, π/😀", "2.50"), ("c", None),
        *([("a", "9")] if is_inclusive else []),
    ]  # fmt: skip
    assert b'"value":4.50,' in body
    assert [
        (one["name"], one["value"])
        for part in walk(fake, "explicit", page_size=10)
        for one in part["point_samples"]
    ] == samples
    written = b"00.001000" if fake.traits.times == "naive" else b"00.001Z"
    assert b'"time":"2025-01-01T00:00:%b"' % written in body
    assert fake.expected("explicit", "a", START_MS, END_MS) == [[START_MS, None]]
    assert fake.expected("explicit", "b, π/😀", START_MS, END_MS) == [
        [START_MS, True], [START_MS + 1, 2.5],
    ]  # fmt: skip
    assert fake.expected("explicit", "empty", START_MS, END_MS) == []
    assert names_of(fake, "explicit") == ["a", "b, π/😀", "c", "empty"]


def test_late_samples_join_the_others(fake: FakeUpstream) -> None:
    """Samples added later are sent and expected from then on."""
    fake.set_points("late", {"a": [(START_MS, "1")]})
    fake.add_samples("late", "a", [(START_MS, "2"), (START_MS + 1, "3")])

    assert fake.expected("late", "a", START_MS, END_MS) == [[START_MS, 2], [START_MS + 1, 3]]
    assert understood(walk(fake, "late"), ["a"]) == oracle(fake, "late", ["a"])


@pytest.mark.parametrize("page_size", [3, 10, 50, 10_000])
def test_generated_samples_equal_the_oracle(fake: FakeUpstream, site: str, page_size: int) -> None:
    """Whatever the page size, the pages hold exactly what the oracle says."""
    names = names_of(fake, site)
    documents = walk(fake, site, page_size=page_size)

    assert len(documents) == -(-36 // page_size)
    assert understood(documents, names) == oracle(fake, site, names)
    assert fake.samples_sent(site) == 36
    wires = fake.samples(site, names[0], START_MS, END_MS)
    assert [ms for ms, _ in wires] == list(range(START_MS, END_MS, STEP_MS))
    assert all(re.fullmatch(r"[0-9]+[.][0-9]{2}", str(value)) for _, value in wires)


def test_filter_and_calls_by_point(fake: FakeUpstream, site: str) -> None:
    """The calls by point send only what is asked for, the filter where it is heeded."""
    names = names_of(fake, site)
    first, second, _ = names
    filtered = walk(fake, site, point_names=f"{first},{second}")
    body = json.dumps({"points": [{"name": second}]})
    _, batch, _ = call(fake, "/points/get_timeseries", body=body, **RANGE)
    _, single, _ = call(fake, f"/points/{quote(second, safe='')}/timeseries", **RANGE)

    sent = {first, second} if fake.traits.filter == "heeded" else set(names)
    assert {one["name"] for one in filtered[0]["point_samples"]} == sent
    assert json.loads(batch) == json.loads(single)
    assert understood([json.loads(single)], [second]) == oracle(fake, site, [second])
    assert [one.names for one in fake.log(site)][1:] == [(first, second), (second,), (second,)]


def test_log_and_counters(fake: FakeUpstream, site: str) -> None:
    """The log tells what was asked, by site; forgetting one site's leaves the others'."""
    fake.set_points("other-site", {"a": [(START_MS, "1")]})
    page(fake, "other-site")
    page(fake, site, page_size=10)
    page(fake, site, page_size=10, cursor=document(fake, site, page_size=10)["next_cursor"])
    page(fake, site, start_time="2025-01-01T00:30:00Z", end_time="2025-01-01T02:00:00Z")
    page(fake, site, start_time="2025-02-01", end_time="2025-02-02")
    call(fake, f"/sites/{site}", bearer="wrong")
    half, hour = START_MS + 1_800_000, 3_600_000
    february = START_MS + 31 * 24 * hour

    assert fake.requests_for(site) == 5
    assert fake.requests_for(site, "site") == 1
    refusals = [404, 401] if fake.traits == KIND else [200, 500]
    assert [one.status for one in fake.requests[site]] == [200, 200, 200, 200, *refusals]
    assert fake.samples_sent(site) == 10 + 10 + 10 + 18
    assert fake.fetched_ranges(site) == [
        (START_MS, END_MS), (START_MS, END_MS), (half, END_MS + hour),
        (february, february + 24 * hour),
    ]  # fmt: skip
    assert fake.fetched_ranges(site, is_merged=True) == [
        (START_MS, END_MS + hour), (february, february + 24 * hour),
    ]  # fmt: skip
    assert fake.log(site, "site")[0].headers["authorization"] == "Bearer wrong"
    fake.clear_log(site)
    assert fake.log(site) == []
    assert fake.requests_for("other-site") == 1


def test_concurrency_is_counted(fake: FakeUpstream, site: str) -> None:
    """The greatest number of requests at one moment is kept, by site."""
    fake.faults.always(site, "hang")
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(page, fake, site) for _ in range(3)]
        until(lambda: fake.requests_for(site) == 3)
        fake.faults.clear(site)
        for future in futures:
            with pytest.raises(ConnectionError):
                future.result()
    assert fake.max_concurrency(site) == 3
    until(lambda: all(one.is_done for one in fake.log(site)))
    fake.clear_log(site)
    page(fake, site)
    assert fake.max_concurrency(site) == 1


def test_refuses_what_the_upstream_refuses(fake: FakeUpstream, site: str) -> None:
    """Wrong tokens, unknown sites, page sizes, long URLs, empty periods: as the traits say."""
    token, unknown, empty = (401, 404, 404) if fake.traits == KIND else (500, 403, 200)
    assert call(fake, "/sites/", bearer="wrong")[0] == token
    assert page(fake, "unknown-site")[0] == unknown
    assert call(fake, "/sites/unknown-site")[0] == unknown
    assert page(fake, site, page_size=7)[0] == 400
    assert page(fake, site, point_names="x" * 8000)[0] == 414
    assert page(fake, site, start_time="2020-01-01", end_time="2020-01-02")[0] == empty
    fake.remove_site(site)
    assert call(fake, f"/sites/{site}")[0] == unknown


def test_environment_chooses_the_world() -> None:
    """Fakes are what FAKE_UPSTREAM says, unless a test says it itself."""
    assert default_traits({WORLD_VARIABLE: "faithful"}) == FAITHFUL
    assert default_traits({WORLD_VARIABLE: "kind"}) == KIND
    assert default_traits({WORLD_VARIABLE: ""}) == default_traits({})
    assert FakeUpstream().traits == default_traits(os.environ)
    assert [FakeUpstream(traits=each).traits for each in (KIND, FAITHFUL)] == [KIND, FAITHFUL]
    with pytest.raises(ValueError, match="FAKE_UPSTREAM cannot be 'friendly'"):
        default_traits({WORLD_VARIABLE: "friendly"})


def test_ranges_of_every_call_are_logged(fake: FakeUpstream, site: str) -> None:
    """Naive times are UTC, and a POST has a range like any page."""
    body = json.dumps({"points": [{"name": names_of(fake, site)[0]}]})
    naive: dict[str, Any] = {"start_time": "2025-01-01T00:00:00", "end_time": "2025-01-01T00:30:00"}
    call(fake, "/points/get_timeseries", body=body, **naive)
    call(fake, f"/sites/{site}/timeseries", **RANGE)

    half = START_MS + 1_800_000
    assert fake.fetched_ranges(site) == [(START_MS, half), (START_MS, END_MS)]
    assert fake.fetched_ranges(site, is_merged=True) == [(START_MS, END_MS)]
    assert fake.requests_for(site) == 2


def test_down_and_up_again() -> None:
    """A stopped fake refuses connections; started again, it has the same address and sites."""
    fake = FakeUpstream().start()
    fake.set_points("s", {"a": [(START_MS, "1")]})
    url = fake.url
    idle = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    idle.request("GET", "/api/sites", headers={"authorization": "Bearer test-token"})
    assert idle.getresponse().read()
    fake.stop()
    with pytest.raises(ConnectionRefusedError):
        page(fake, "s")
    idle.close()
    with fake:
        assert fake.url == url
        assert page(fake, "s")[0] == 200


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502, 503, 504])
def test_error_statuses(fake: FakeUpstream, site: str, status: int) -> None:
    """Each status can be made to happen once, on timeseries calls alone if not told otherwise."""
    fake.faults.once(site, status)
    assert call(fake, f"/sites/{site}")[0] == 200
    assert page(fake, site)[0] == status
    assert page(fake, site)[0] == 200
    fake.faults.once(site, status, on=ANY_CALL)
    assert call(fake, f"/sites/{site}")[0] == status
    assert [one.faults for one in fake.log(site, "timeseries")] == [(str(status),), ()]


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("retry_after", 503)])
def test_retry_after(fake: FakeUpstream, site: str, kind: str, status: int) -> None:
    """429 and 503 come without Retry-After, with seconds, or with a date in any of three forms."""
    fake.faults.once(site, kind)
    fake.faults.once(site, kind, retry_after_s=3)
    for form in RETRY_FORMS:
        fake.faults.once(site, kind, retry_after_s=86_400, form=form)
    fake.faults.once(site, kind, retry_after_s=3, status=500)
    answers = [page(fake, site) for _ in range(6)]
    told = [headers.get("Retry-After") for _, _, headers in answers]

    assert [answer[0] for answer in answers] == [*[status] * 5, 500]
    assert (told[0], told[1], told[5]) == (None, "3", "3")
    for (_, _, headers), text in zip(answers[2:5], told[2:5], strict=True):
        late = parsedate_to_datetime(str(text)).replace(tzinfo=UTC)
        wait = late - parsedate_to_datetime(headers["Date"])
        assert 86_395 <= wait.total_seconds() <= 86_405
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", str(told[2]))
    assert re.fullmatch(r"\w{6,9}, \d\d-\w{3}-\d\d [\d:]{8} GMT", str(told[3]))
    assert re.fullmatch(r"\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}", str(told[4]))


def test_when_faults_strike(fake: FakeUpstream, site: str) -> None:
    """Once, several times, after some, with a probability that a seed fixes, or not at all."""
    fake.faults.once(site, 503, skip=1)
    fake.faults.times(site, 500, 2)
    assert [page(fake, site)[0] for _ in range(5)] == [200, 503, 500, 500, 200]

    struck = []
    for _ in range(2):
        fake.faults.rate(site, 502, 0.5, seed=7)
        struck.append([page(fake, site)[0] for _ in range(20)])
        fake.faults.clear(site)
    assert struck[0] == struck[1]
    assert set(struck[0]) == {200, 502}
    with pytest.raises(ValueError, match="unknown fault: 418"):
        fake.faults.always(site, 418)


def test_cut_body(fake: FakeUpstream, site: str) -> None:
    """The connection closes before the announced length has come."""
    fake.faults.once(site, "cut")
    with pytest.raises(http.client.IncompleteRead):
        page(fake, site)
    assert fake.samples_sent(site) == 0


def test_large_pages_die(fake: FakeUpstream, site: str) -> None:
    """The connection closes in the middle of pages with more samples than told, of no others."""
    fake.faults.always(site, "dies_large", samples=10)

    assert page(fake, site, page_size=10)[0] == 200
    with pytest.raises(http.client.IncompleteRead):
        page(fake, site, page_size=50)


def test_endless_body(fake: FakeUpstream, site: str) -> None:
    """A body goes on until the client leaves, or the test releases it."""
    fake.faults.once(site, "endless_body")
    parts = urlsplit(fake.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    target = f"{parts.path}/sites/{site}/timeseries/paginated?{urlencode(RANGE)}"
    connection.request("GET", target, headers={"authorization": "Bearer test-token"})
    response = connection.getresponse()

    assert response.headers["Content-Length"] is None
    assert len(response.read(3_000_000)) == 3_000_000
    response.close()
    connection.close()
    until(lambda: fake.log(site)[0].is_done)
    fake.faults.once(site, "endless_body")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(page, fake, site)
        until(lambda: fake.requests_for(site) == 2)
        fake.faults.release(site)
        assert future.result()[1].startswith(b'{"point_samples":[')


def test_gzip_bomb(fake: FakeUpstream, site: str) -> None:
    """A small body that inflates to a large one is still the page, behind blanks."""
    plain = page(fake, site)[1]
    fake.faults.once(site, "gzip_bomb", bytes=5_000_000)
    _, body, headers = page(fake, site)
    inflated = gzip.decompress(body)

    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 20_000
    assert len(inflated) == 5_000_000 + len(plain)
    assert inflated.strip() == plain


def test_reset_connection(fake: FakeUpstream, site: str) -> None:
    """The connection is reset without an answer."""
    fake.faults.once(site, "reset")
    with pytest.raises(ConnectionResetError) as caught:
        page(fake, site)
    assert not isinstance(caught.value, http.client.RemoteDisconnected)


def test_hang_lasts_until_released(fake: FakeUpstream, site: str) -> None:
    """A hanging request gets nothing, and ends when it is released."""
    fake.faults.once(site, "hang")
    with pytest.raises(TimeoutError):
        call(fake, f"/sites/{site}/timeseries/paginated", timeout_s=0.05, **RANGE)
    assert not fake.log(site)[0].is_done
    fake.faults.release(site)
    until(lambda: fake.log(site)[0].is_done)


@pytest.mark.parametrize(
    ("kind", "status"), [("html", 200), ("html_502", 502)], ids=["with 200", "with 502"]
)
def test_html_pages(fake: FakeUpstream, site: str, kind: str, status: int) -> None:
    """An HTML page comes in place of JSON."""
    fake.faults.once(site, kind)
    answer = page(fake, site)

    assert answer[0] == status
    assert answer[1].startswith(b"<!DOCTYPE html>")
    assert answer[2]["Content-Type"] == "text/html"


@pytest.mark.parametrize("kind", ["invalid_json", "invalid_utf8"])
def test_documents_that_cannot_be_read(fake: FakeUpstream, site: str, kind: str) -> None:
    """The body has the announced length and is no JSON."""
    fake.faults.once(site, kind)
    status, body, _ = page(fake, site)

    assert status == 200
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)


def test_wrong_shape(fake: FakeUpstream, site: str) -> None:
    """Valid JSON can be something else."""
    fake.faults.once(site, "wrong_shape")
    fake.faults.once(site, "wrong_shape", document=[1])

    assert [json.loads(page(fake, site)[1]) for _ in range(2)] == [{"error": "internal"}, [1]]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"form": "html", "status": 401}, 401),
        ({"form": "json", "status": 500}, 500),
        ({"form": "headers", "status": 302}, 302),
        ({"form": "time"}, 200),
        ({"form": "cursor"}, 200),
    ],
    ids=lambda value: value["form"] if isinstance(value, dict) else None,
)
def test_echo(fake: FakeUpstream, site: str, options: dict[str, Any], status: int) -> None:
    """Wherever an answer has room for it, the caller's own token comes back first."""
    fake.faults.once(site, "echo", **options)
    answer = page(fake, site)

    assert answer[0] == status
    heard = f"Bearer {fake.token} "
    said = f"{dict(answer[2])} {answer[1].decode()}"
    assert heard in said
    if options["form"] in {"time", "cursor"}:
        document = json.loads(answer[1])
        texts = [sample["time"] for sample in document["point_samples"]]
        assert (texts or [document["next_cursor"]])[0].startswith(heard)


def test_redirect(fake: FakeUpstream, site: str) -> None:
    """A redirect leads to a login page, which is HTML with 200 and asks for no token."""
    fake.faults.once(site, "redirect")
    status, _, headers = page(fake, site)
    netloc = urlsplit(fake.url).netloc
    connection = http.client.HTTPConnection(netloc, timeout=20)
    connection.request("GET", headers["Location"])
    login = connection.getresponse()

    assert status == 302
    assert login.status == 200
    assert login.read().startswith(b"<!DOCTYPE html>")
    connection.close()


def test_gzip_body(fake: FakeUpstream, site: str) -> None:
    """A body can be gzipped."""
    plain = page(fake, site)[1]
    fake.faults.once(site, "gzip")
    _, body, headers = page(fake, site)

    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == plain


@pytest.mark.parametrize(
    ("kind", "options"),
    [("slow", {"delay_ms": 1}), ("trickle", {"pause_ms": 1})],
    ids=["late", "in parts"],
)
def test_slow_answers_are_right(
    fake: FakeUpstream, site: str, kind: str, options: dict[str, Any]
) -> None:
    """A late answer and one in parts hold the same as a quick one."""
    plain = page(fake, site)[1]
    fake.faults.once(site, kind, **options)
    fake.latency_ms[site] = 1

    assert page(fake, site)[1] == plain
    assert fake.log(site)[-1].faults == (kind,)


def test_cursor_that_repeats(fake: FakeUpstream, site: str) -> None:
    """The same page comes for ever."""
    fake.faults.always(site, "repeating_cursor")
    documents = walk(fake, site, page_size=10)

    assert len(documents) == 100
    assert len({one["next_cursor"] for one in documents}) == 1
    assert documents[1] == documents[2]


def test_cursors_that_go_in_a_circle(fake: FakeUpstream, site: str) -> None:
    """Two pages come in turn for ever, each with another cursor."""
    fake.faults.always(site, "cursor_cycle")
    documents = walk(fake, site, page_size=10)

    assert len(documents) == 100
    assert len({one["next_cursor"] for one in documents}) == 2
    assert documents[0] == documents[2] != documents[1]


def test_more_without_a_cursor(fake: FakeUpstream, site: str) -> None:
    """More is promised without saying where."""
    fake.faults.once(site, "no_cursor")
    one = document(fake, site, page_size=10)

    assert (one["has_more"], one["next_cursor"]) == (True, None)


def test_warts_of_cursors_leave_calls_by_point_alone(fake: FakeUpstream, site: str) -> None:
    """Those have no cursor: the wart waits for a page, and others strike meanwhile."""
    body = json.dumps({"points": [{"name": names_of(fake, site)[0]}]})
    fake.faults.once(site, "no_cursor")
    fake.faults.once(site, "503")
    found = [call(fake, "/points/get_timeseries", body=body, **RANGE)[0] for _ in range(2)]
    assert found == [503, 200]
    assert document(fake, site, page_size=10)["next_cursor"] is None


def test_scroll_id(fake: FakeUpstream, site: str) -> None:
    """All pages of a walk have one cursor, and together they are whole; two walks keep apart."""
    names = names_of(fake, site)
    fake.faults.always(site, "scroll_id")
    documents = walk(fake, site, page_size=10)
    others = walk(fake, site, page_size=10)

    assert len({one["next_cursor"] for one in documents[:-1]}) == 1
    assert documents[0]["next_cursor"] != others[0]["next_cursor"]
    assert understood(documents, names) == understood(others, names) == oracle(fake, site, names)
    assert len({json.dumps(one["point_samples"]) for one in documents}) == len(documents) == 4


def test_endless_empty_pages(fake: FakeUpstream, site: str) -> None:
    """Empty pages come for ever, each with a cursor of its own."""
    fake.faults.always(site, "endless_empty_pages")
    documents = walk(fake, site)

    assert len(documents) == len({one["next_cursor"] for one in documents}) == 100
    assert not any(one["point_samples"] for one in documents)


def test_empty_pages_in_between(fake: FakeUpstream, site: str) -> None:
    """An empty page comes before each page with samples, and nothing is lost."""
    names = names_of(fake, site)
    fake.faults.always(site, "empty_pages")
    documents = walk(fake, site, page_size=10)

    assert [len(one["point_samples"]) for one in documents] == [0, 10, 0, 10, 0, 10, 0, 6]
    assert understood(documents, names) == oracle(fake, site, names)


def test_filter_that_is_ignored(fake: FakeUpstream, site: str) -> None:
    """The whole site comes, whatever was asked for."""
    name = names_of(fake, site)[1]
    fake.faults.always(site, "ignores_point_names")
    documents = walk(fake, site, point_names=name, page_size=10)

    assert sum(len(one["point_samples"]) for one in documents) == 36
    assert understood(documents, [name]) == oracle(fake, site, [name])


def _is_unordered(samples: list[dict[str, Any]]) -> bool:
    order = [(one["time"], one["name"]) for one in samples]
    return order != sorted(order)


def _has_duplicates(samples: list[dict[str, Any]]) -> bool:
    return len({(one["time"], one["name"]) for one in samples}) < len(samples)


def _reaches_out(samples: list[dict[str, Any]]) -> bool:
    times = {one["time"] for one in samples}
    return min(times) < RANGE["start_time"] and {RANGE["end_time"]} < times


def _has_nan(samples: list[dict[str, Any]]) -> bool:
    return any(isinstance(one["value"], float) and math.isnan(one["value"]) for one in samples)


def _has_every_time_format(samples: list[dict[str, Any]]) -> bool:
    endings = ("00Z", ".000+00:00", ".000+05:30", ".000000Z", ".000000-08:00")
    return all(any(one["time"].endswith(end) for one in samples) for end in endings)


def _has_odd_times(samples: list[dict[str, Any]]) -> bool:
    texts = {one["time"] for one in samples}
    ends = (":60Z", "T24:00:00", " UTC", "00.0000000000000", "T000000Z", "yesterday")
    return all(any(str(text).endswith(end) for text in texts) for end in ends)


def _has_null_fields(samples: list[dict[str, Any]]) -> bool:
    return all(any(one[field] is None for one in samples) for field in ("name", "time", "value"))


SAMPLE_WARTS: dict[str, Callable[[list[dict[str, Any]]], bool]] = {
    "unordered": _is_unordered,
    "duplicates": _has_duplicates,
    "outside_range": _reaches_out,
    "nan_literals": _has_nan,
    "time_formats": _has_every_time_format,
    "bad_times": _has_odd_times,
    "null_fields": _has_null_fields,
}


@pytest.mark.parametrize("kind", SAMPLE_WARTS)
def test_warts_of_samples_leave_the_result(fake: FakeUpstream, site: str, kind: str) -> None:
    """The wart can be seen in the page, and a careful client still gets what is expected."""
    names = names_of(fake, site)
    assert not SAMPLE_WARTS[kind](document(fake, site)["point_samples"])
    fake.faults.always(site, kind)
    documents = walk(fake, site, page_size=10)

    assert SAMPLE_WARTS[kind](document(fake, site)["point_samples"])
    assert understood(documents, names) == oracle(fake, site, names)


def test_deep_value(fake: FakeUpstream, site: str) -> None:
    """One value is nested deeper than most readers of JSON go; without it the page is as it was."""
    plain = page(fake, site)[1]
    fake.faults.once(site, "deep_value")
    fake.faults.once(site, "deep_value", depth=3)
    deep, shallow = page(fake, site)[1], page(fake, site)[1]

    assert b'"value":' + b"[" * 2500 + b"]" * 2500 in deep
    samples = json.loads(shallow)["point_samples"]
    assert samples[0]["value"] == [[[]]]
    assert samples[1:] == json.loads(plain)["point_samples"]


def test_times_in_place_of_the_true_ones(fake: FakeUpstream, site: str) -> None:
    """Each odd time that has a meaning stands for the instant of the true one."""
    plain = document(fake, site)["point_samples"]
    fake.faults.always(site, "bad_times", replaces=True)
    odd = document(fake, site)["point_samples"]

    assert [(one["name"], one["value"]) for one in odd] == [
        (one["name"], one["value"]) for one in plain
    ]
    assert not any(one["time"] == true["time"] for one, true in zip(odd, plain, strict=True))
    read = [_odd_instant_ms(one["time"]) for one in odd]
    assert read == [parse_ms(one["time"]) for one in plain]


def _odd_instant_ms(text: str) -> int:
    """Return the instant that an odd time means."""
    if text.endswith(":60Z"):
        return parse_ms(text.replace(":60Z", ":59Z")) + 1000
    if text.endswith("T24:00:00"):
        return parse_ms(text.replace("T24:", "T00:")) + 86_400_000
    return parse_ms(text)


def test_cursor_told_by_the_page(fake: FakeUpstream) -> None:
    """The cursor that the page itself tells is whole where the given one stalls."""
    name = f"crowded-{fake.traits.cursor}"
    names = fake.add_generated(name, points=25, start_ms=START_MS, end_ms=END_MS)
    documents = [document(fake, name, page_size=10)]
    cursor = None
    while documents[-1]["has_more"] and len(documents) < 100:
        cursor = following_cursor(documents[-1]["point_samples"], cursor)
        documents.append(document(fake, name, page_size=10, cursor=cursor))

    assert understood(documents, names) == oracle(fake, name, names)
    is_stalled = len(walk(fake, name, page_size=10)) == 100
    assert is_stalled is (fake.traits.cursor == "defective")


def test_all_warts_of_samples_together(fake: FakeUpstream, site: str) -> None:
    """Warts add up, and the result stays."""
    names = names_of(fake, site)
    for kind in ("duplicates", "nan_literals", "outside_range", "unordered", "time_formats"):
        fake.faults.always(site, kind)
    fake.faults.always(site, "empty_pages")
    documents = walk(fake, site, page_size=10)

    assert understood(documents, names) == oracle(fake, site, names)
    assert len(fake.log(site, "timeseries")[0].faults) == 6


def test_every_wart_is_tested_here() -> None:
    """A wart that no test names cannot be relied on."""
    statuses = {"400", "401", "403", "404", "429", "500", "502", "503", "504"}
    others = {
        "cut", "invalid_json", "invalid_utf8", "wrong_shape", "html", "html_502", "redirect",
        "reset", "hang", "slow", "trickle", "gzip", "repeating_cursor", "cursor_cycle",
        "no_cursor", "empty_pages", "endless_empty_pages", "ignores_point_names", "echo",
        "retry_after", "dies_large", "endless_body", "gzip_bomb", "scroll_id", "deep_value",
    }  # fmt: skip

    assert set(WARTS) == statuses | others | set(SAMPLE_WARTS)
