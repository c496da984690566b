"""What makes two requests the same job."""

from __future__ import annotations

import hashlib

import msgspec

from building_vitals.answers.question import TimeseriesRequest


def canonical_request(request: TimeseriesRequest) -> bytes:
    """
    Return what makes two requests ask for the same data: site, sorted points and range, as JSON.
    """
    return msgspec.json.encode([request.site, sorted(request.points), *request.time_range])


def request_hash(request: TimeseriesRequest) -> str:
    """Return the SHA-256 of the canonical request, in hexadecimal."""
    return hashlib.sha256(canonical_request(request)).hexdigest()


def _identity(request: TimeseriesRequest, owner: str) -> str:
    """Return what makes two requests the same job: the canonical request and its owner, hashed."""
    digest = hashlib.sha256(request_hash(request).encode())
    digest.update(f"\n{owner}".encode())
    return digest.hexdigest()
