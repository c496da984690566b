"""
Cursors of pages: what they say, and what the real service's leave out.

Separate because the defect is the point of it: tests read it here.
"""

import base64
import binascii
import json

from demo.instants import iso_text, naive_text, parse_ms
from demo.messages import ProtocolError
from demo.sources import Position
from demo.traits import Traits


def encode_cursor(start: Position, after: Position, traits: Traits) -> str:
    """
    Return the cursor to the samples behind a page.

    Args:
        start: Where the page started.
        after: Where it ended.
        traits: `cursor` and `times` count.
    """
    if traits.cursor == "opaque":
        return base64.urlsafe_b64encode(f"{after.ms}:{after.skip}".encode()).decode().rstrip("=")
    offset = after.skip
    if traits.cursor == "defective" and after.ms == start.ms:
        # The real service counts the rows of the page alone, so that a page within one moment
        # leads back to itself.
        offset -= start.skip
    write = naive_text if traits.times == "naive" else iso_text
    text = json.dumps({"offset": offset, "timestamp": write(after.ms)})
    return base64.b64encode(text.encode()).decode()


def decode_cursor(cursor: str) -> Position:
    """
    Return the position that a cursor of any shape stands for.

    Raises:
        ProtocolError: 400, encode_cursor makes no such cursor.
    """
    try:
        # A server that decodes a query turns a bare plus sign into a blank.
        plain = cursor.replace(" ", "+").replace("-", "+").replace("_", "/")
        text = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("ascii")
        if text.startswith("{"):
            document = json.loads(text)
            return Position(parse_ms(document["timestamp"]), int(document["offset"]))
        ms, skip = text.split(":")
        return Position(int(ms), int(skip))
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProtocolError(400, f"unknown cursor: {cursor}") from exc
