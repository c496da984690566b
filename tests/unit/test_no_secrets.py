"""Nothing in the repository looks like a secret."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {".git", ".dev", ".wrangler", "node_modules", "python_modules", ".hypothesis"}
SKIPPED |= {".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__"}
BYTES_MAX = 2_000_000
SECRETS = {
    "an API key": re.compile(rb"\bbv_[A-Za-z0-9_-]{43}\b"),
    "a bearer token": re.compile(rb"(?i)\bbearer +[A-Za-z0-9_-]*[0-9][A-Za-z0-9_.-]{23,}"),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a signed token": re.compile(rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."),
    "an account's token": re.compile(rb"(?i)api[_-]?token[\"' ]*[:=][\"' ]*[A-Za-z0-9_-]{30,}"),
}


def test_repository_holds_no_secrets() -> None:
    """No file has a key, a token or a private key in it."""
    found = []
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        if SKIPPED & set(parts) or not path.is_file() or path.stat().st_size > BYTES_MAX:
            continue
        if parts == (".dev.vars",):
            continue
        text = path.read_bytes()
        found += [
            f"{'/'.join(parts)}: {what}" for what, form in SECRETS.items() if form.search(text)
        ]
    assert [] == found


def test_secrets_would_be_noticed() -> None:
    """The patterns find what they are for."""
    assert SECRETS["an API key"].search(b"key=bv_" + b"a1_-" * 10 + b"abc")
    assert SECRETS["a bearer token"].search(b"Authorization: Bearer " + b"a1b2" * 8)
    assert SECRETS["a private key"].search(b"-----BEGIN " + b"RSA PRIVATE KEY-----")
