"""
uv as the set-up runs it: packages come from where pip's configuration says.

pip is configured on many machines (a mirror, a certificate, a proxy), uv on few. What pip is told
is passed on in uv's environment and nowhere written: an address may hold a password. Extra indexes
are left out: uv takes a release from one index alone, pip each file from whichever has it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devtools.layout import UV_CACHE

# A line of `pip config list`; a value is written as Python writes a text.
SETTING = re.compile(r"""([\w:-]+)\.([\w-]+)=(".*"|'.*')""")
# Later ones win: files, files for `pip install`, the environment.
SECTIONS = ("global", "install", ":env:")
TRUE = {"1", "true", "yes", "on", "y", "t"}
# What a user may tell uv itself; all else of it would change what is installed.
KEPT = {
    *("UV_CACHE_DIR", "UV_CONCURRENT_DOWNLOADS", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"),
    *("UV_HTTP_TIMEOUT", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_LINK_MODE"),
    *("UV_NO_CACHE", "UV_OFFLINE", "UV_SYSTEM_CERTS"),
}
FIXED = {
    "UV_NO_CONFIG": "1",
    "UV_NO_PROGRESS": "1",
    # An interpreter would come from outside the package registries.
    "UV_PYTHON_DOWNLOADS": "never",
}
# pip's option, uv's variable, what separates the values of a list.
PASSED_ON = (
    ("index-url", "UV_DEFAULT_INDEX", None),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("default-timeout", "UV_HTTP_TIMEOUT", None),
    ("timeout", "UV_HTTP_TIMEOUT", None),
    ("cert", "SSL_CERT_FILE", None),
    ("client-cert", "SSL_CLIENT_CERT", None),
    ("proxy", "ALL_PROXY", None),
)


@dataclass(frozen=True, slots=True)
class Uv:
    """
    An installed uv.

    Attributes:
        program: Its executable.
        environment: All of it; may hold passwords.
        flags: For commands that install.
    """

    program: Path
    environment: dict[str, str] = field(repr=False)
    flags: tuple[str, ...] = ()

    def locking_environment(self) -> dict[str, str]:
        """Return the environment without folders of files: a lock holds what the index has."""
        return {n: v for n, v in self.environment.items() if n != "UV_FIND_LINKS"}


def pip_settings(listing: str) -> dict[str, str]:
    """Return the settings of `pip install` by name, from the output of `pip config list`."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        match = SETTING.fullmatch(line.strip())
        if match and match[1] in found:
            found[match[1]][match[2]] = ast.literal_eval(match[3])
    return {name: value for section in SECTIONS for name, value in found[section].items()}


def uv_for(program: Path, pip: Mapping[str, str], environ: Mapping[str, str]) -> Uv:
    """
    Return uv with an environment that says what pip's settings say.

    Args:
        program: Its executable.
        pip: See pip_settings.
        environ: The process's own; what it tells uv goes before what it tells pip.
    """
    passed: dict[str, str] = {}
    for option, variable, separator in PASSED_ON:
        if value := pip.get(option):
            passed[variable] = value if separator is None else separator.join(value.split())
    if pip.get("no-cache-dir", "").lower() in TRUE:
        passed["UV_NO_CACHE"] = "1"
    if pip.get("keyring-provider") == "subprocess":
        passed["UV_KEYRING_PROVIDER"] = "subprocess"
    for bundle in (environ.get("REQUESTS_CA_BUNDLE"), environ.get("CURL_CA_BUNDLE")):
        if bundle:
            passed.setdefault("SSL_CERT_FILE", bundle)
    # pip trusts what the system trusts; uv's own list knows no certificate of a company.
    passed.setdefault("UV_SYSTEM_CERTS", "1")
    own = {n: v for n, v in environ.items() if v and (not n.startswith("UV_") or n in KEPT)}
    environment = {"UV_CACHE_DIR": str(UV_CACHE)} | passed | own | FIXED
    flags = ("--no-index",) if pip.get("no-index", "").lower() in TRUE else ()
    return Uv(program, environment, flags)
