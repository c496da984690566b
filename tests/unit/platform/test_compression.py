"""Brotli, as far as it runs without the runtime."""

from __future__ import annotations

import pytest

from building_vitals.platform.compression import Brotli

TEXT = b"time,point,value\r\n" * 100


def test_what_was_compressed_comes_back() -> None:
    """And it is shorter in between."""
    packed = Brotli().compress(TEXT)
    assert len(packed) < len(TEXT) // 10
    assert TEXT == Brotli().decompress(packed, len(TEXT))


@pytest.mark.parametrize("size", [0, len(TEXT) - 1, len(TEXT) + 1])
def test_another_size_is_refused(size: int) -> None:
    """Data that hold more or less than they should are not what was stored."""
    with pytest.raises(ValueError):
        Brotli().decompress(Brotli().compress(TEXT), size)


def test_other_bytes_are_refused() -> None:
    """They are a wrong value, not a fault of the library."""
    with pytest.raises(ValueError, match="brotli"):
        Brotli().decompress(b"\xff" * 50, 50)
