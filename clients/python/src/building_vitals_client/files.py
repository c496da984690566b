"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from building_vitals_client.bodies import Body
from building_vitals_client.errors import StaleData
from building_vitals_client.flows import Target
from building_vitals_client.wire import OnBytes

FileFormat = Literal["csv", "ndjson", "json", "msgpack"]


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """
    Give a file to write that takes the place of *path* at the end; it is gone after an error.

    Raises:
        OSError: it cannot be made, or not be renamed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def file_target(file: IO[bytes], format: FileFormat) -> Target:
    """Return the target of an answer that goes to a file; its result is the bytes written."""

    def write(chunk: bytes) -> bool:
        file.write(chunk)
        return False

    def open_body(on_bytes: OnBytes) -> Body:
        # An attempt that broke has left its part.
        file.seek(0)
        file.truncate()
        return Body(write, on_bytes)

    def read(body: Body) -> int:
        if body.is_stale:
            message = "the upstream failed; the file has what was kept, and may lack samples"
            warnings.warn(message, StaleData, stacklevel=2)
        return file.tell()

    return Target(format, open_body, read)
