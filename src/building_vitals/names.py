"""
The patterns of site and point names, as regular expressions without anchors.

A match is always of the whole text.
"""

from __future__ import annotations

SITE_PATTERN = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
SITE_LENGTH_MAX = 128
# Anything but control characters.
TEXT_CHARACTER = r"[^\u0000-\u001f\u007f-\u009f]"
POINT_PATTERN = f"{TEXT_CHARACTER}+"
POINT_LENGTH_MAX = 512
# A point in a comma-separated list: no comma, no blank at either end.
LISTED_POINT_PATTERN = (
    r"[^\u0000-\u0020\u007f-\u009f,]([^\u0000-\u001f\u007f-\u009f,]{0,510}"
    r"[^\u0000-\u0020\u007f-\u009f,])?"
)
