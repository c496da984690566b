"""Values of samples as JSON text, and their CSV cells."""

from __future__ import annotations

import pytest

T0 = 1_735_689_600_000
ISO0 = b"2025-01-01T00:00:00.000Z"


def run(*values: str) -> bytes:
    """Return a run of samples five minutes apart, each value given as JSON text."""
    return ",".join(f"[{T0 + 300_000 * i},{value}]" for i, value in enumerate(values)).encode()


VALUES = [
    pytest.param("72.5", b"72.5", id="number"),
    pytest.param("45.50", b"45.50", id="trailing zero"),
    pytest.param("-0.0", b"-0.0", id="negative number is no formula"),
    pytest.param("1E+5", b"1E+5", id="exponent"),
    pytest.param("1e400", b"1e400", id="beyond float"),
    pytest.param("9" * 60, b"9" * 60, id="60 digits"),
    pytest.param("0." + "3" * 40, b"0." + b"3" * 40, id="40 decimals"),
    pytest.param("null", b"", id="null"),
    pytest.param("true", b"true", id="true"),
    pytest.param("false", b"false", id="false"),
    pytest.param('"occupied"', b"occupied", id="text"),
    pytest.param('"null"', b"null", id="text null"),
    pytest.param('"123E4567"', b"123E4567", id="text beyond float"),
    pytest.param('"12E-4567"', b"12E-4567", id="text that float reads as 0"),
    pytest.param('""', b'""', id="empty text"),
    pytest.param('"a],[1,2"', b'"a],[1,2"', id="the samples' own separator"),
    pytest.param('"say \\"hi\\""', b'"say ""hi"""', id="quotes"),
    pytest.param('"a\\r\\nb"', b'"a\r\nb"', id="line break"),
    pytest.param('"a\\nb"', b'"a\nb"', id="newline"),
    pytest.param('"back\\\\slash"', b"back\\slash", id="backslash"),
    pytest.param('"\U0001f525 hot"', "\U0001f525 hot".encode(), id="emoji"),
    pytest.param('"\\ud83d\\udd25"', "\U0001f525".encode(), id="escaped emoji"),
    pytest.param('"Gr\u00fc\u00dfe"', "Gr\u00fc\u00dfe".encode(), id="accents"),
    pytest.param('"\\u2028"', "\u2028".encode(), id="line separator"),
    pytest.param('"=1+1"', b"'=1+1", id="formula ="),
    pytest.param('"+1+1"', b"'+1+1", id="formula +"),
    pytest.param('"-off"', b"'-off", id="formula -"),
    pytest.param('"@SUM(A1)"', b"'@SUM(A1)", id="formula @"),
    pytest.param('"\\t=1"', b"'\t=1", id="formula after a tab"),
    pytest.param('"\\r=1"', b'"\'\r=1"', id="formula after a carriage return"),
    pytest.param('"=\\"a\\",b"', b'"\'=""a"",b"', id="formula with quotes"),
    pytest.param('" =1"', b" =1", id="space before ="),
    pytest.param("[]", b"[]", id="empty array"),
    pytest.param("[1,2]", b'"[1,2]"', id="array"),
    pytest.param("[[1,2],[3,4]]", b'"[[1,2],[3,4]]"', id="array of arrays"),
    pytest.param("{}", b"{}", id="empty object"),
    pytest.param('{"a":[1.50]}', b'"{""a"":[1.50]}"', id="object"),
    pytest.param('"\\\\ud800"', b"\\ud800", id="escaped backslash before u"),
    pytest.param('"\\ud800 x"', "\ufffd x".encode(), id="lone surrogate"),
    pytest.param('"=\\udc00\\ud800"', "'=\ufffd\ufffd".encode(), id="surrogates in disorder"),
]
