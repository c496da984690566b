"""
The form of an API key, its hash, and the headers that carry it.

Separate, and of the standard library alone, because `scripts/api_key.py` makes keys by the same
rules without the packages of the Worker.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from building_vitals.errors import Unauthorized

KEY_PREFIX = "bv_"
# 256 random bits, as secrets.token_urlsafe writes them.
KEY_BYTES = 32
_KEY = re.compile(r"bv_[A-Za-z0-9_-]{43}", re.ASCII)
# The scheme's name is case-insensitive (RFC 9110); one blank or more follows it.
_BEARER = re.compile(r"bearer +([^ ]+)", re.ASCII | re.IGNORECASE)

# Names of the headers that may have a key, in lower case.
KEY_HEADERS = ("authorization", "x-api-key")

ROLES = ("reader", "admin")

# A key, or most of one, also where a URL has its underscores percent-encoded.
_KEY_LIKE = re.compile(r"bv(?:_|%5f)(?:[a-z0-9_-]|%5f|%2d){16,}", re.ASCII | re.IGNORECASE)
# What stands between the scheme and the host of an address: a user's name and password.
_USER_INFO = re.compile(r"(?<=://)[^/?#\s\"\\@]*@")
# Shorter secrets would blot out ordinary words.
_SECRET_LENGTH_MIN = 8
MASK = "***"

MISSING = "API key missing: send `Authorization: Bearer <key>` or `X-API-Key`"
# One text for all of them: a stranger who tries a key learns nothing about it.
NOT_VALID = "API key not valid: malformed, unknown, revoked or expired"


def is_well_formed(key: str) -> bool:
    """Return whether a text has the form of a key: `bv_` and 43 characters of base64url."""
    return _KEY.fullmatch(key) is not None


def masked(text: str, *secrets: str | None) -> str:
    """
    Return a text for logs and answers without the secrets that it may hold.

    Those are all that looks like an API key, users and passwords in addresses, and *secrets*.
    """
    for secret in secrets:
        if secret is not None and len(secret) >= _SECRET_LENGTH_MIN:
            text = text.replace(secret, MASK)
    return _USER_INFO.sub(f"{MASK}@", _KEY_LIKE.sub(f"{KEY_PREFIX}{MASK}", text))


def hash_key(key: str) -> str:
    """
    Return the SHA-256 of a key, in hexadecimal: the only part of a key that is stored.

    It has no salt and is no slow hash: 256 random bits cannot be guessed, and a look-up needs one
    value.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_key(headers: Mapping[str, str]) -> str:
    """
    Return the key that a request carries, well-formed but not checked against the database.

    Args:
        headers: Names in lower case; a repeated header has its values joined, which is no key.

    Raises:
        Unauthorized: there is no key, it is malformed, or two headers have different keys.
    """
    authorization, plain = map(headers.get, KEY_HEADERS)
    if authorization is None and plain is None:
        raise Unauthorized(MISSING)
    found = set()
    if authorization is not None:
        match = _BEARER.fullmatch(authorization.strip())
        if match is None:
            raise Unauthorized(NOT_VALID)
        found.add(match[1])
    if plain is not None:
        found.add(plain.strip())
    if len(found) > 1:
        raise Unauthorized("two different API keys in `Authorization` and `X-API-Key`; send one")
    key = found.pop()
    if not is_well_formed(key):
        raise Unauthorized(NOT_VALID)
    return key
