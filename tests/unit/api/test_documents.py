"""Tests of documents: their bytes are those that clients know, and their schemas allow them."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
import pytest

from building_vitals.answers.answer import (
    AnswerMeta,
    CacheReport,
    TimeseriesAnswer,
    answer_meta,
)
from building_vitals.answers.question import Question, TimeseriesRequest
from building_vitals.api import documents
from building_vitals.api.documents import CancelAnswer, PurgeAnswer, QueuedAnswer
from building_vitals.api.json_schemas import document_schemas
from building_vitals.jobs.documents import FailedChunk, FailedChunks, JobList, job_document
from building_vitals.jobs.model import Job
from building_vitals.maintenance.health_documents import Checks, Health
from building_vitals.maintenance.purge import CacheObject, CacheObjects
from building_vitals.maintenance.run import MaintenanceRun, StepOutcome
from building_vitals.ranges import Range
from building_vitals.sites.directory import UpstreamList

TIME = "1970-01-01T00:00:00.000Z"
JOB = Job(
    job_id="job_1",
    owner="k",
    site="hq",
    points_count=2,
    start_ms=0,
    end_ms=0,
    priority="low",
    status="completed",
    progress=100,
    total_chunks=1,
    completed_chunks=1,
    estimated_size=3,
    samples_count=4,
    data_size=5,
    retry_count=0,
    error=None,
    error_class=None,
    created_ms=0,
    started_ms=0,
    completed_ms=0,
    failed_ms=None,
    cancelled_ms=None,
)
JOB_JSON = (
    f'{{"jobId":"job_1","status":"completed","priority":"low","site":"hq","pointsCount":2,'
    f'"startTime":"{TIME}","endTime":"{TIME}","progress":100,"totalChunks":1,"completedChunks":1,'
    f'"createdAt":"{TIME}","startedAt":"{TIME}","completedAt":"{TIME}","failedAt":null,'
    '"cancelledAt":null,"estimatedSize":3,"samplesCount":4,"dataSize":5,"retryCount":0,'
    '"error":null,"dataUrl":"/api/jobs/job_1/data"}'
)
DOCUMENTS: list[tuple[msgspec.Struct, str]] = [
    (
        QueuedAnswer(
            job_id="j", message="m", status_url="/u", poll_interval=2000, estimated_samples=9
        ),
        '{"status":"queued","jobId":"j","message":"m","statusUrl":"/u","pollInterval":2000,'
        '"estimatedSamples":9}',
    ),
    (CancelAnswer(True, "m"), '{"success":true,"message":"m"}'),
    (PurgeAnswer(3), '{"deleted":3}'),
    (job_document(JOB), JOB_JSON),
    (JobList([job_document(JOB)], None), f'{{"jobs":[{JOB_JSON}],"nextCursor":null}}'),
    (
        FailedChunks(
            [
                FailedChunk(
                    job_id="j",
                    site="s",
                    chunk=0,
                    error_class="crash",
                    error="e",
                    attempts=4,
                    failed_at=TIME,
                )
            ],
            1,
        ),
        '{"failures":[{"jobId":"j","site":"s","chunk":0,"class":"crash","error":"e","attempts":4,'
        f'"failedAt":"{TIME}"}}],"count":1}}',
    ),
    (
        MaintenanceRun([StepOutcome("a", 2), StepOutcome("b", 0, "down")]),
        '{"steps":[{"name":"a","changed":2},{"name":"b","changed":0,"error":"down"}]}',
    ),
    (
        Health(
            status="healthy",
            service="s",
            timestamp=TIME,
            version="1",
            auth_mode="open",
            checks=Checks(d1="ok", r2="ok", queues="ok", upstream="ok", maintenance="ok"),
            maintenance_age_seconds=7,
        ),
        f'{{"status":"healthy","service":"s","timestamp":"{TIME}","version":"1","authMode":"open",'
        '"checks":{"d1":"ok","r2":"ok","queues":"ok","upstream":"ok","maintenance":"ok"},'
        '"maintenanceAgeSeconds":7}',
    ),
    (
        CacheObjects([CacheObject("k", 1, TIME, None, 2)], "c"),
        f'{{"objects":[{{"key":"k","size":1,"uploaded":"{TIME}","points":null,"samples":2}}],'
        '"nextCursor":"c"}',
    ),
    (
        UpstreamList(1, 1, 100, 1, [{"name": "p", "unit": "C"}]),
        '{"page":1,"pages":1,"per_page":100,"total":1,"items":[{"name":"p","unit":"C"}]}',
    ),
]


def is_described(document: type, value: Any) -> bool:
    """Return whether a document's schema allows a value."""
    (schema,), components = document_schemas([document])
    whole = schema | {"components": {"schemas": components}}
    return jsonschema_rs.validator_for(whole, validate_formats=True).is_valid(value)


@pytest.mark.parametrize(
    ("document", "text"), DOCUMENTS, ids=[type(each).__name__ for each, _ in DOCUMENTS]
)
def test_documents_have_the_bytes_that_clients_know(document: msgspec.Struct, text: str) -> None:
    """Names and order of fields stay; with all fields it is as described, without one it is not."""
    assert text.encode() == msgspec.json.encode(document)
    value = msgspec.json.decode(text)
    assert is_described(type(document), value)
    assert not is_described(type(document), dict(list(value.items())[1:]))


def meta(max_points: int | None = None) -> AnswerMeta:
    """Return what an answer says of itself."""
    request = TimeseriesRequest("hq", ("a",), Range(0, 0), max_points=max_points)
    question = Question(
        request=request,
        route="cached",
        estimated=7,
        request_id="r",
        format="json",
        gzip=False,
        started_ms=0,
    )
    report = CacheReport("partial", 1, 2, 3, [Range(4, 5)])
    answer = TimeseriesAnswer(
        report=report, object_keys=(), answer_etag=None, samples=8, missing_samples=6
    )
    return answer_meta(answer, question, 0)


def test_meta_has_the_bytes_that_clients_know() -> None:
    """`_meta` and `cache` are encoded in the contract's order."""
    text = (
        f'{{"requestId":"r","site":"hq","startTime":"{TIME}","endTime":"{TIME}",'
        '"routeType":"cached","cacheHit":false,"cache":{"status":"partial","samplesFromCache":1,'
        '"samplesFetched":2,"upstreamRequests":3,"fetched":[[4,5]]},"estimatedSamples":7,'
        f'"missingSamples":6,"samplesCount":8,"unreadableSamples":0,"duration":0,"timestamp":"{TIME}"}}'
    )
    assert text.encode() == msgspec.json.encode(meta())


def test_only_a_downsampled_answer_says_so() -> None:
    """`downsampled` is true or absent, in JSON and in MessagePack."""
    for codec in (msgspec.json, msgspec.msgpack):
        assert "downsampled" not in codec.decode(codec.encode(meta()))
        assert True is codec.decode(codec.encode(meta(100)))["downsampled"]


@pytest.mark.parametrize(
    "sample", [[1, 72.5], [2, "occupied"], [3, None], [4, True], [5, 6, 7.5, None]]
)
def test_spliced_answers_are_described(sample: list[object]) -> None:
    """Nobody encodes the answer from its Struct, so its schema is held to what is spliced."""
    data = {"__proto__": {"samples": [sample], "count": 1, "error": None}}
    value = {"data": data, "_meta": msgspec.to_builtins(meta())}
    assert is_described(documents.TimeseriesAnswer, value)


@pytest.mark.parametrize("sample", [[], [1], [1, [2]], [1] * 11])
def test_broken_samples_are_not_as_described(sample: list[object]) -> None:
    """A sample is a time and one value, a row has no more values than there are aggregates."""
    data = {"p": {"samples": [sample], "count": 1, "error": None}}
    value = {"data": data, "_meta": msgspec.to_builtins(meta())}
    assert not is_described(documents.TimeseriesAnswer, value)
