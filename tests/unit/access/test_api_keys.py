"""What counts as an API key, and where it is found."""

from __future__ import annotations

import hashlib

import pytest

from building_vitals.access.api_keys import (
    MISSING,
    NOT_VALID,
    hash_key,
    is_well_formed,
    masked,
    read_key,
)
from building_vitals.errors import Unauthorized

KEY = "bv_" + "Az09_-" * 7 + "x"
OTHER = "bv_" + "b" * 43


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": f"Bearer {KEY}"}, id="bearer"),
        pytest.param({"authorization": f"bEARER   {KEY} "}, id="scheme in any case, blanks"),
        pytest.param({"x-api-key": f" {KEY} "}, id="plain"),
        pytest.param({"authorization": f"Bearer {KEY}", "x-api-key": KEY}, id="both the same"),
    ],
)
def test_key_is_found(headers: dict[str, str]) -> None:
    """A key counts wherever it may stand."""
    assert read_key(headers) == KEY


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        pytest.param({}, MISSING, id="none"),
        pytest.param({"authorization": KEY}, NOT_VALID, id="no scheme"),
        pytest.param({"authorization": f"Basic {KEY}"}, NOT_VALID, id="another scheme"),
        pytest.param(
            {"authorization": "Basic eDp5", "x-api-key": KEY},
            NOT_VALID,
            id="another scheme besides",
        ),
        pytest.param({"authorization": "Bearer "}, NOT_VALID, id="empty"),
        pytest.param({"authorization": f"Bearer {KEY}, Bearer {KEY}"}, NOT_VALID, id="repeated"),
        pytest.param({"x-api-key": ""}, NOT_VALID, id="empty plain"),
        pytest.param({"x-api-key": KEY[:-1]}, NOT_VALID, id="short"),
        pytest.param({"x-api-key": KEY + "x"}, NOT_VALID, id="long"),
        pytest.param({"x-api-key": KEY[:-1] + "é"}, NOT_VALID, id="not ASCII"),
        pytest.param({"x-api-key": KEY[:-1] + "\ud800"}, NOT_VALID, id="half of a pair"),
        pytest.param({"x-api-key": KEY[:-1] + "\n"}, NOT_VALID, id="line end"),
    ],
)
def test_what_is_no_key_is_refused(headers: dict[str, str], message: str) -> None:
    """Without exactly one well-formed key the request is refused, whatever stands there."""
    with pytest.raises(Unauthorized) as refusal:
        read_key(headers)
    assert message == refusal.value.detail


def test_two_different_keys_are_refused() -> None:
    """Nobody can say which of two keys is meant; the message holds neither."""
    with pytest.raises(Unauthorized, match="two different") as refusal:
        read_key({"authorization": f"Bearer {KEY}", "x-api-key": OTHER})
    assert "bv_" not in refusal.value.detail


def test_hash_is_plain_sha256() -> None:
    """The hash is one that every tool can make, of any text."""
    assert hash_key(KEY) == hashlib.sha256(KEY.encode()).hexdigest()
    assert len(hash_key("\ud800")) == 64


def test_form_has_256_bits() -> None:
    """A key has 43 characters of base64url behind its prefix."""
    assert is_well_formed(KEY)
    assert not is_well_formed(KEY.replace("bv_", "bw_"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"no such path: /nope/{KEY}", "no such path: /nope/bv_***"),
        (f"?api_key={KEY}&x=1", "?api_key=bv_***&x=1"),
        (f"/nope/{KEY.replace('_', '%5F')}", "/nope/bv_***"),
        (f"/nope/{KEY.replace('_', '%5f').replace('-', '%2D')}", "/nope/bv_***"),
        (f"'{KEY[:30]}'", "'bv_***'"),
        (f"{KEY},{KEY}", "bv_***,bv_***"),
        (KEY.upper(), "bv_***"),
        ("http://user:PW@host:bad/api failed", "http://***@host:bad/api failed"),
        ("https://t0ken@host", "https://***@host"),
        ("token sesame-1234567 refused", "token *** refused"),
        ("bv_short, a@b and https://host/@x", "bv_short, a@b and https://host/@x"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    """Keys, also encoded or cut, passwords in addresses, and secrets that are named."""
    assert expected == masked(text, "sesame-1234567", None, "st")
