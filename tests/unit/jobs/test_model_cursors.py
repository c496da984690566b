"""Where a list of jobs goes on."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest

from builders import JOB
from building_vitals.errors import InvalidRequest
from building_vitals.jobs.model import decode_cursor, encode_cursor


def test_cursors_come_back() -> None:
    """A list goes on after the very job it ended with."""
    assert (1_000, "job_1") == decode_cursor(encode_cursor(JOB))


@pytest.mark.parametrize(
    "cursor",
    [
        pytest.param("", id="empty"),
        pytest.param("!!!", id="no base64"),
        pytest.param("a", id="cut off"),
        pytest.param(base64.urlsafe_b64encode(b"\xff\xff").decode(), id="no text"),
        pytest.param(base64.urlsafe_b64encode(b"soon:job_1").decode(), id="no instant"),
        pytest.param(base64.urlsafe_b64encode(b"9" * 30 + b":job").decode(), id="no such year"),
        pytest.param("caf\u00e9", id="no ASCII"),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    """A made-up cursor is the caller's mistake, and named as such."""
    with pytest.raises(InvalidRequest) as caught:
        decode_cursor(cursor)
    found: list[dict[str, Any]] = [dataclasses.asdict(each) for each in caught.value.problems]
    assert ["cursor"] == [each["field"] for each in found]
