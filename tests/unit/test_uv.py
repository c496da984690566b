"""uv is told what pip is told: index, certificates, proxy; and nothing that changes a result."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.layout import UV_CACHE
from devtools.uv import Uv, pip_settings, uv_for

PROGRAM = Path("/t/uv")
LISTING = """\
:env:.index-url='https://user:word@env.example/simple'
:env:.no-input='1'
global.cert='/etc/company.pem'
global.extra-index-url='https://a.example/simple https://b.example/simple'
global.find-links='/wheels\\n/more wheels'
global.index-url='https://file.example/simple'
install.trusted-host='env.example'
download.index-url='https://other.example/simple'
WARNING: something that pip has to say
"""


def told(**pip: str) -> Uv:
    """Return uv on a machine where nothing but pip is configured."""
    return uv_for(PROGRAM, {name.replace("_", "-"): value for name, value in pip.items()}, {})


def test_the_environment_goes_before_pips_files() -> None:
    """Of a setting that stands twice the one counts that counts for `pip install`."""
    assert pip_settings(LISTING) == {
        "index-url": "https://user:word@env.example/simple",
        "no-input": "1",
        "cert": "/etc/company.pem",
        "extra-index-url": "https://a.example/simple https://b.example/simple",
        "find-links": "/wheels\n/more wheels",
        "trusted-host": "env.example",
    }


@pytest.mark.parametrize(
    ("option", "value", "variable", "passed"),
    [
        ("index-url", "https://m.example/simple", "UV_DEFAULT_INDEX", "https://m.example/simple"),
        ("find-links", "/a\n/b", "UV_FIND_LINKS", "/a,/b"),
        ("trusted-host", "a b:81", "UV_INSECURE_HOST", "a b:81"),
        ("timeout", "60", "UV_HTTP_TIMEOUT", "60"),
        ("cert", "/c.pem", "SSL_CERT_FILE", "/c.pem"),
        ("proxy", "http://p.example:3128", "ALL_PROXY", "http://p.example:3128"),
        ("no-cache-dir", "true", "UV_NO_CACHE", "1"),
    ],
)
def test_pips_settings_reach_uv(option: str, value: str, variable: str, passed: str) -> None:
    """Each has its variable."""
    assert passed == uv_for(PROGRAM, {option: value}, {}).environment[variable]


def test_without_pips_settings_uv_has_its_defaults() -> None:
    """No index is named; certificates are the system's; the cache lies in the repository."""
    environment = told().environment
    assert "UV_DEFAULT_INDEX" not in environment
    assert environment["UV_SYSTEM_CERTS"] == "1"
    assert environment["UV_CACHE_DIR"] == str(UV_CACHE)
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"


def test_what_is_said_to_uv_itself_counts_more_unless_it_changes_the_result() -> None:
    """A user's own index for uv stays; a user's own way to resolve does not."""
    own = {
        "PATH": "/bin",
        "SSL_CERT_FILE": "/mine.pem",
        "UV_DEFAULT_INDEX": "https://mine.example",
        "UV_RESOLUTION": "lowest",
    }
    pip = {"index-url": "https://pip.example", "cert": "/pip.pem"}
    environment = uv_for(PROGRAM, pip, own).environment
    assert environment["UV_DEFAULT_INDEX"] == "https://mine.example"
    assert environment["SSL_CERT_FILE"] == "/mine.pem"
    assert environment["PATH"] == "/bin"
    assert "UV_RESOLUTION" not in environment
    assert uv_for(PROGRAM, pip, {"SSL_CERT_FILE": ""}).environment["SSL_CERT_FILE"] == "/pip.pem"


def test_a_machine_without_an_index_is_passed_on() -> None:
    """pip's no-index is a flag of uv; the folders of files are for installing alone."""
    uv = told(no_index="yes", find_links="/wheels")
    assert uv.flags == ("--no-index",)
    assert uv.environment["UV_FIND_LINKS"] == "/wheels"
    assert "UV_FIND_LINKS" not in uv.locking_environment()


def test_passwords_are_not_shown() -> None:
    """What is printed of uv holds no address of an index."""
    assert "word" not in repr(told(index_url="https://user:word@m.example/simple"))
