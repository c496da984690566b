"""
Brotli, which the standard library lacks.

Separate because the package that brings it is loaded only where it is used: it takes memory.
"""

from __future__ import annotations

# Of 0 to 11: beyond, each percent costs more time than gzip takes for all.
QUALITY = 5


class Brotli:
    """A `Compressor` of datasets."""

    encoding = "br"

    def compress(self, data: bytes) -> bytes:
        """Return the data compressed."""
        import cramjam  # noqa: PLC0415 - see above

        return bytes(cramjam.brotli.compress(data, level=QUALITY))

    def decompress(self, data: bytes, size: int) -> bytes:
        """
        Return what was compressed, *size* bytes.

        Raises:
            ValueError: the data are not Brotli, or hold another number of bytes.
        """
        import cramjam  # noqa: PLC0415 - see above

        content = bytearray(size)
        try:
            # Into a buffer of that size, so that no data can make it larger.
            length = cramjam.brotli.decompress_into(data, content)
        except cramjam.DecompressionError as error:
            raise ValueError(f"not brotli: {error}") from error
        if length != size:
            raise ValueError(f"{length} bytes in place of {size}")
        return bytes(content)
