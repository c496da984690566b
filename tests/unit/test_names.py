"""What sites and points may be called."""

from __future__ import annotations

import re

import pytest

from building_vitals.names import LISTED_POINT_PATTERN, POINT_PATTERN, SITE_PATTERN


@pytest.mark.parametrize(
    ("site", "is_allowed"),
    [
        pytest.param("hq", True, id="letters"),
        pytest.param("7-B_west.2", True, id="digits and signs"),
        pytest.param("a" * 128, True, id="128 characters"),
        pytest.param("a" * 129, False, id="129 characters"),
        pytest.param("", False, id="nothing"),
        pytest.param("..", False, id="a way up"),
        pytest.param("-hq", False, id="a sign in front"),
        pytest.param("a/b", False, id="a slash"),
        pytest.param("hq\n", False, id="a line break behind"),
        pytest.param("h\u00fc", False, id="an accent"),
    ],
)
def test_sites(site: str, *, is_allowed: bool) -> None:
    """A site is a single segment of a path in plain letters, digits and signs."""
    assert is_allowed == bool(re.fullmatch(SITE_PATTERN, site))


@pytest.mark.parametrize(
    ("point", "is_point", "is_listed"),
    [
        pytest.param("Ahu 1/temp", True, True, id="a blank within"),
        pytest.param("\u00e9 \u2603", True, True, id="other alphabets"),
        pytest.param("x", True, True, id="one character"),
        pytest.param("x" * 512, True, True, id="512 characters"),
        pytest.param("x" * 513, True, False, id="513 characters"),
        pytest.param("a,b", True, False, id="a comma"),
        pytest.param(" x", True, False, id="a blank in front"),
        pytest.param("x ", True, False, id="a blank behind"),
        pytest.param("", False, False, id="nothing"),
        pytest.param("a\tb", False, False, id="a control character"),
        pytest.param("a\x9fb", False, False, id="an upper control character"),
    ],
)
def test_points(point: str, *, is_point: bool, is_listed: bool) -> None:
    """A point is any text without control characters; in a list it has no comma and no margin."""
    assert (is_point, is_listed) == (
        bool(re.fullmatch(POINT_PATTERN, point)),
        bool(re.fullmatch(LISTED_POINT_PATTERN, point)),
    )
