"""What the chaos command shortens is written in the sources as it says."""

from __future__ import annotations

import pytest

from chaos.haste import FETCH_MS_MAX, SHORTENED, fingerprint
from chaos.profiles import TIMEOUT_MS
from devtools.layout import ROOT


@pytest.mark.parametrize(
    ("path", "text"), [(path, text) for path, edits in SHORTENED.items() for text in edits]
)
def test_each_text_occurs_once(path: str, text: str) -> None:
    """Or the Worker of a run would not start, or another place of it be changed."""
    assert 1 == (ROOT / "src" / path).read_text(encoding="utf-8").count(text)


def test_no_fetch_of_a_run_lasts_longer() -> None:
    """As in production: those of requests, of chunks and of follows have ended by then."""
    texts = [text for edits in SHORTENED.values() for text in edits.values()]
    assert "CHUNK_MS_MAX = 13_000" in texts
    assert "READ_MS_LIMIT = 6_000, 10_000" in texts
    assert max(TIMEOUT_MS, 13_000) < FETCH_MS_MAX


def test_the_same_changes_have_the_same_fingerprint() -> None:
    """A memory snapshot is that of one set of sources."""
    assert fingerprint() == fingerprint()
    assert 12 == len(fingerprint())
