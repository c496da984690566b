"""Datasets on the real runtime, with the compression that it has."""

from __future__ import annotations

import base64
import gzip
import json

import cramjam
import pytest

from contract.remote import Remote

CONTENT = {"data": {"é ☃": [[n, 20.5 + n % 7] for n in range(3000)]}}


@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_datasets_are_compressed_in_the_runtime(
    remote: Remote, prefix: str, encoding: str
) -> None:
    """What is put comes back; in the bucket lie fewer bytes, of the encoding that was asked for."""
    site = "site-" + prefix.split("/")[1]
    found = await remote.call("datasets.put", site=site, content=CONTENT, encoding=encoding)
    assert CONTENT == found["content"]
    assert encoding == found["encoding"] == found["info"]["content_encoding"]
    stored = base64.b64decode(found["stored"])
    unpack = gzip.decompress if encoding == "gzip" else cramjam.brotli.decompress
    assert CONTENT == json.loads(bytes(unpack(stored)))
    metadata = found["info"]["metadata"]
    assert str(len(stored)) == metadata["compressedSize"]
    assert ("2", "7") == (metadata["points"], metadata["samples"])
    assert found["info"]["key"].startswith(f"datasets/{site}/")
