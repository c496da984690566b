"""README and guides say what is so: routes, options, scripts, views, commands and links exist."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from building_vitals.api.endpoint import Endpoint
from building_vitals.api.routes import ENDPOINTS
from building_vitals.cache import object_keys
from building_vitals.settings import RETIRED_VARS, SettingsError, read_settings
from unit.test_tidy import ROOMS

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CHANGELOG = ROOT / "CHANGELOG.md"
CLIENT_README = ROOT / "clients" / "python" / "README.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
OPERATIONS = ROOT / "docs" / "operations.md"
GUIDES = [README, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md"))]
WRANGLER = tomllib.loads((ROOT / "wrangler.toml").read_text(encoding="utf-8"))
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")
VARS: dict[str, str] = WRANGLER["vars"]
SECRETS = {"ACE_API_TOKEN"}
# Of wrangler, the shell's examples, and constants of SQLite and Cloudflare.
OTHER_NAMES = {
    "CLOUDFLARE_API_TOKEN",
    "CLOUDFLARE_ACCOUNT_ID",
    "FAKE_UPSTREAM",
    "JOB_ID",
    "BV_URL",
    "BV_KEY",
}
# A binding that wrangler.toml does without.
OPTIONAL_BINDINGS = {"STATS_DB"}

ROLES = {"anybody": "anybody", "reader": "readers", "owner": "owner", "admin": "administrators"}

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9_{}./*-]*)")
# Also in a curl line, where the method is an option or left out.
ADDRESS = re.compile(r"(?:\$URL|127\.0\.0\.1:8787)(/[A-Za-z0-9_{}./-]+)")
NAME = re.compile(r"(?<![A-Za-z0-9_$/.-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![A-Za-z0-9_])")
SCRIPT = re.compile(r"scripts[/\\]([A-Za-z0-9_-]+\.(?:py|sh|cmd))")
SQL = re.compile(r'--command "([^"]+)"|`(SELECT [^`]+)`')
VIEW = re.compile(r"\bv_[a-z_]+")
RESOURCE = re.compile(r"(?<![/\w.-])(?:building-vitals|chart-processing)-[a-z-]+")
OPTION = re.compile(r"^\| `([A-Z_]+)` \| (.+) \| (`[^`]*`|empty) \| ([^|]+) \|$", re.MULTILINE)
RANGE = re.compile(r"must be (?:from (?P<least>\S+) to (?P<most>\S+)|one of \((?P<all>.*)\)): got")
REGISTRIES = re.compile(r"pypi\.org|pythonhosted|npmjs|registry\.|yarnpkg|debian\.org|crates\.io")


def name_of(path: Path) -> str:
    """Return the path below the repository."""
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    """Return a guide's text."""
    return path.read_text(encoding="utf-8")


def code_of(path: Path) -> str:
    """Return all that a guide shows as code."""
    return "\n".join(CODE.findall(text_of(path)))


def existing_routes() -> set[str]:
    """Return each method and path the Worker answers, its open parts as {}."""
    return {re.sub(r"{[^}]*}", "{}", each.route) for each in ENDPOINTS}


# Of the upstream, in the guide that says how it is asked.
UPSTREAM_ROUTES = {"POST /points/get_timeseries"}


def shown_routes(path: Path) -> set[str]:
    """Return each method and path that a guide names, its open parts as {}."""
    return {
        f"{method} {re.sub(r'{[^}]*}|JOB_ID', '{}', route)}"
        for method, route in ROUTE.findall(code_of(path))
    }


def test_every_route_is_in_the_readme() -> None:
    """The API table has all routes and none that is not there."""
    assert existing_routes() == shown_routes(README)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[each.route for each in ENDPOINTS])
def test_rows_of_the_readme_are_those_of_the_table(endpoint: Endpoint) -> None:
    """A row of the API table names the role and every parameter of its endpoint."""
    mark = f"`{endpoint.route}`"
    (row,) = [line for line in text_of(README).splitlines() if mark in line and line[0] == "|"]
    _, routes, what, who, _ = row.split("|")
    assert ROLES[endpoint.role] in who.split()
    rows = [each for each in ENDPOINTS if f"`{each.route}`" in routes]
    parameters = {parameter.name for each in rows for parameter in each.parameters}
    assert parameters == set(re.findall(r"`(\w+)`", what))


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guides_name_only_routes_that_exist(path: Path) -> None:
    """A route or an address in any guide is one that the Worker answers, or the upstream's own."""
    assert set() == shown_routes(path) - existing_routes() - UPSTREAM_ROUTES
    paths = {route.partition(" ")[2] for route in existing_routes()}
    asked = {re.sub(r"JOB_ID", "{}", each) for each in ADDRESS.findall(code_of(path))}
    assert set() == asked - paths - {"/cdn-cgi/local/scheduled"}


def options() -> dict[str, tuple[str, str]]:
    """Return each var of the configuration guide with its default and its range, as shown."""
    rows = OPTION.findall(text_of(CONFIGURATION))
    return {name: (default.strip("`"), allowed.strip()) for name, _, default, allowed in rows}


def test_the_configuration_guide_has_every_var() -> None:
    """Every var of wrangler.toml is explained, with wrangler.toml's value, and no other is."""
    assert set(VARS) == set(options())
    shown = {
        name: "" if default == "empty" else default for name, (default, _) in options().items()
    }
    assert shown == VARS


def test_defaults_are_those_of_the_code() -> None:
    """Leaving every var out is the same as wrangler.toml, but for the upstream's address."""
    bare = read_settings(SimpleNamespace(ACE_API_URL=VARS["ACE_API_URL"]))
    assert bare == read_settings(SimpleNamespace(**VARS))


# The other threshold, where one at its bound would not be in order with the default.
THRESHOLDS = {
    ("SMALL_THRESHOLD", "1000000000"): {"LARGE_THRESHOLD": "1000000000"},
    ("LARGE_THRESHOLD", "0"): {"SMALL_THRESHOLD": "0"},
}


def refusal(name: str, value: str) -> str | None:
    """Return what the settings say to a value, None when they take it."""
    try:
        read_settings(SimpleNamespace(**THRESHOLDS.get((name, value), {}), **{name: value}))
    except SettingsError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", sorted(VARS))
def test_ranges_are_those_of_the_code(name: str) -> None:
    """The guide's range is the one that a refusal names, and its ends are taken."""
    allowed = options()[name][1]
    refused = refusal(name, "nonsense!")
    if refused is None:
        assert allowed == "text"
        return
    found = RANGE.search(refused)
    if found is None:
        assert f"must be {allowed}" in refused
        return
    if found["all"] is not None:
        choices = [each.strip().strip("'") for each in found["all"].rstrip(",").split(",")]
        assert allowed == ", ".join(choices)
    else:
        assert allowed == f"{found['least']} to {found['most']}"
        choices = [found["least"], found["most"]]
    assert [] == [each for each in choices if refusal(name, each) is not None]


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guides_name_only_vars_that_exist(path: Path) -> None:
    """A name in capitals is a var, a secret, a binding, or one that is known to be another's."""
    bindings = {bucket["binding"] for bucket in WRANGLER["r2_buckets"]}
    bindings |= {producer["binding"] for producer in WRANGLER["queues"]["producers"]}
    bindings |= {limit["name"] for limit in WRANGLER["ratelimits"]}
    known = set(VARS) | set(RETIRED_VARS) | SECRETS | bindings | OPTIONAL_BINDINGS | OTHER_NAMES
    assert set() == set(NAME.findall(code_of(path))) - known


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guides_name_only_scripts_that_exist(path: Path) -> None:
    """Every script that is mentioned is there."""
    gone = {
        each for each in SCRIPT.findall(text_of(path)) if not (ROOT / "scripts" / each).is_file()
    }
    assert set() == gone


def test_every_script_is_in_the_layout() -> None:
    """The contributors' guide names each script."""
    there = {
        path.name for path in (ROOT / "scripts").iterdir() if path.suffix in {".py", ".sh", ".cmd"}
    }
    assert there == set(SCRIPT.findall(text_of(CONTRIBUTING)))


def test_the_layout_exists() -> None:
    """Every path of the contributors' tables exists."""
    text = text_of(CONTRIBUTING)
    shown = re.findall(r"`([a-z_]+(?:/[a-z_.]*)+|[a-z_]+\.(?:toml|sql|json))`", text)
    assert shown
    assert [] == [each for each in shown if not (ROOT / each).exists()]


def test_every_tier_of_tests_is_explained() -> None:
    """The contributors' guide says what each folder of tests proves."""
    folders = {
        f"tests/{path.name}/"
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and any(path.rglob("test_*.py"))
    }
    assert folders == set(re.findall(r"^\| `(tests/\w+/)`", text_of(CONTRIBUTING), re.MULTILINE))


def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a guide's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*GUIDES, CHANGELOG, CLIENT_README], ids=name_of)
def test_links_resolve(path: Path) -> None:
    """Every relative link leads to a file, and to a heading where it names one."""
    broken = []
    for link in LINK.findall(FENCE.sub("", text_of(path))):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.is_file() or (anchor and anchor not in anchors_of(file)):
            broken.append(link)
    assert [] == broken


def test_every_guide_is_linked_from_the_readme() -> None:
    """No guide is lost."""
    linked = set(LINK.findall(text_of(README)))
    assert set() == {name_of(path) for path in [*GUIDES, CHANGELOG] if path != README} - linked


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guides_name_no_registry(path: Path) -> None:
    """Packages come from whatever mirror is used: no registry's host is named."""
    assert [] == REGISTRIES.findall(text_of(path))


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_queries_in_guides_work(path: Path) -> None:
    """Every query of D1 that is shown runs against schema.sql."""
    queries = [command or inline for command, inline in SQL.findall(text_of(path))]
    # Analytics Engine has a dialect and a data set of its own.
    dataset = WRANGLER["analytics_engine_datasets"][0]["dataset"]
    queries = [query for query in queries if dataset not in query]
    assert len(queries) > 5 or path != OPERATIONS
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    for query in queries:
        connection.execute(query).fetchall()
    connection.close()


def test_rooms_are_shown_in_their_order() -> None:
    """The contributors' table lists every room, in the order that the tidy test has."""
    package = ROOT / "src" / "building_vitals"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    shown = re.findall(r"^\| `src/building_vitals/(\w+)/` \|", text_of(CONTRIBUTING), re.MULTILINE)
    assert folders == set(shown)
    assert [room for room in ROOMS if room in folders] == shown


def test_every_view_is_explained() -> None:
    """The operations guide has each view of the schema, and no guide names another."""
    views = set(re.findall(r"CREATE VIEW (\w+)", SCHEMA))
    assert views == set(VIEW.findall(text_of(OPERATIONS)))
    for path in GUIDES:
        assert set(VIEW.findall(text_of(path))) <= views, name_of(path)


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_guides_name_only_resources_of_wrangler_toml(path: Path) -> None:
    """Buckets, queues and the database have the names that wrangler.toml gives them."""
    known = {database["database_name"] for database in WRANGLER["d1_databases"]}
    for bucket in WRANGLER["r2_buckets"]:
        known.add(bucket["bucket_name"])
    known |= {consumer["queue"] for consumer in WRANGLER["queues"]["consumers"]}
    assert set() == set(RESOURCE.findall(code_of(path))) - known


def test_the_r2_guide_names_the_prefixes() -> None:
    """Both prefixes of keys are in the guide to the bucket."""
    text = text_of(ROOT / "docs" / "r2-integration.md")
    assert object_keys.SEGMENTS_PREFIX in text
    assert object_keys.DATASETS_PREFIX in text


def test_dependencies_are_explained() -> None:
    """Every package that is pinned by hand stands in the contributors' guide with its reason."""
    pyproject = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    lists = [pyproject["project"]["dependencies"], *pyproject["dependency-groups"].values()]
    pinned = [each.partition("==")[0] for listed in lists for each in listed]
    pinned += re.findall(r'^    "([\w-]+)": "\d', text_of(ROOT / "package.json"), re.M)
    text = text_of(CONTRIBUTING)
    dependencies = text[text.index("## Dependencies") :]
    assert [] == [name for name in pinned if not re.search(rf"(?<!\w){name}(?!\w)", dependencies)]
