"""The rules of the house that a machine can check: imports, sizes, SQL, docstrings, locks."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = "building_vitals"
RUNTIME_ROOTS = {"js", "pyodide", "pyodide_js", "workers"}
RESERVED_ROOTS = RUNTIME_ROOTS | {"asgi"} | set(sys.stdlib_module_names)
# Lines of code: blank lines, comments and docstrings are free, so that nobody packs or leaves out.
CODE_LINES_MAX = 300
TEST_FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 62
# A room imports only from rooms before it, and from itself.
ROOMS = (
    *("root", "series", "upstream", "cache", "blocks", "answers", "access", "jobs", "datasets"),
    *("sites", "follow", "statistics", "maintenance", "app", "api", "handlers", "platform"),
    "entry",
)
ROOT_MODULES = {
    *("fields", "instants", "ranges", "names", "errors", "ports", "upkeep", "memory"),
    *("statement_count", "ahead", "nearest"),
}
APP_MODULES = {
    *("settings", "isolate", "adapters", "app", "upstream_services", "follow_services"),
}

LIBRARIES = {"msgspec"}
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
# Modules that only reckon: nothing in them waits, and nothing reaches outside.
PURE = {
    *("instants", "ranges", "names", "errors", "nearest"),
    *("series.aggregates", "series.buckets", "series.exact"),
    *("series.bucket_sums", "series.rollups"),
    *("series.columns", "series.downsample", "series.folding", "series.frames", "series.levels"),
    *("series.sample_text", "series.splicing", "series.thinning", "series.values"),
    *("upstream.costs", "upstream.point_names", "upstream.profile", "upstream.quota"),
    *("upstream.ace.backoff", "upstream.ace.comparison", "upstream.ace.cursors"),
    *(
        "upstream.ace.planning",
        "upstream.ace.settings",
        "upstream.ace.targets",
    ),
    *("upstream.ace.wire", "upstream.ace.nesting", "upstream.ace.sizing"),
    *("cache.freshness", "cache.segments", "cache.coverage", "cache.fetch_plan", "cache.need"),
    *("cache.failures", "cache.lease", "cache.patience", "cache.slivers", "cache.twins"),
    *("cache.level_joining", "cache.rollup_plans", "cache.zooming", "cache.block_rows"),
    *(
        "cache.block_runs",
        "cache.block_trust",
        "cache.fetch_runs",
        "cache.gathering",
        "cache.blobs",
    ),
    *("blocks.block", "blocks.directory", "blocks.merging", "blocks.stint_levels"),
    *("cache.refetch", "cache.followed"),
    *("cache.estimates", "cache.joining", "cache.object_keys", "cache.options"),
    *("answers.question", "answers.routing", "answers.pieces", "answers.unknown_points"),
    *("answers.formats.registry", "answers.formats.encoder", "answers.formats.text_rows"),
    "answers.formats.chosen",
    *("answers.formats.spliced_json", "answers.formats.json_text", "answers.formats.csv_rows"),
    *("answers.formats.ndjson_rows", "answers.formats.msgpack_rows", "answers.formats.runs"),
    *("answers.formats.wide_rows", "answers.formats.aggregated"),
    *("access.caller", "access.api_keys", "access.options", "access.origins", "access.streams"),
    "access.waits",
    *("jobs.chunking", "jobs.retrying", "datasets.dataset"),
    "follow.rounds",
    *("statistics.durations", "statistics.events", "statistics.metrics"),
    *("api.negotiation", "api.cors", "api.parameters", "api.query_text", "api.readers"),
    *("api.requests", "api.problem", "handlers.log_line"),
    *("api.interval_parameters", "api.intervals", "api.admin_parameters"),
}
# Values beside a port, for pure modules to use: the queues' stands with the jobs themselves.
VALUES = {"jobs.model"}
# Rooms and modules that decide something and have no test file of their own, and who tests them.
TESTED_ELSEWHERE = {
    "platform": "imports the runtime: tests/contract and tests/integration run it there",
}
BRANCHES = (ast.If, ast.IfExp, ast.While, ast.Match, ast.ExceptHandler)
SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM)\s", re.S
)

SOURCES = sorted(SRC.rglob("*.py"))
SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
# The Python client is a package of its own: neither rooms nor the glossary are for it.
CLIENT = sorted((ROOT / "clients" / "python" / "src").rglob("*.py"))
CLIENT_TESTS = sorted((ROOT / "clients" / "python" / "tests").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py")) + CLIENT_TESTS
UNIT = ROOT / "tests" / "unit"
# Names of test files as those of modules: cache/filler for tests/unit/cache/test_filler.py.
ROOT_TESTS = {path.stem.removeprefix("test_") for path in UNIT.glob("test_*.py")}
ROOM_TESTS = {
    (path.parent.relative_to(UNIT) / path.stem.removeprefix("test_")).as_posix()
    for path in UNIT.rglob("*/test_*.py")
}
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))
NODE_LOCK = ROOT / "package-lock.json"
GUIDES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("clients/*/*.md")])
CONFIGURATION = [ROOT / "wrangler.toml", ROOT / "schema.sql", *(ROOT / "migrations").glob("*.sql")]
GLOSSARY = ROOT / "docs" / "architecture.md"
ORDINARY_WORDS = ROOT / "tests" / "data" / "ordinary_words.txt"

# Words that prose does without, as patterns, and what to write instead.
BANNED_WORDS = {
    r"anew": "write `again`",
    r"whoever": "name the actor",
    r"la(y|ys|id|ying)( \w+){0,3} down": "write `store`, or `materialise` of a job's result",
    r"strung": "write `joined`",
    r"ha(s|d|ve|ving) done with": "name what ends: `acknowledge`, `close`",
    r"(not?|n't|nor|never|none|nobody|nothing)\b[^.;:|]*\bany more": "write `no longer`",
}
# Identifiers that were given up, and the names that took their place.
RETIRED_NAMES = {
    "wanted": "time_range, or what it is that is expected",
    "Asked": "Question",
    "Filled": "Filling",
    "Errand": "FetchContext",
    "Fetch": "UpstreamQuery",
    "Fold": "PointSeries",
    "judged_ms": "the rule in cache/freshness.py",
    "touched": "object_keys",
    "background": "run_later",
    "lay_down": "materialise",
    "bury": "handle_dead_letter",
    "data_point": "metric",
    "data_points": "metrics",
    "grow": "crc_growth",
    "shrink": "crc_shrink",
    "raw_length": "text_bytes",
    "raw_bytes": "text_bytes",
    "Counted": "WeightedRequest",
    "Taken": "GrantResult",
}


def name_of(path: Path) -> str:
    """Return the path below the repository, for messages."""
    return path.relative_to(ROOT).as_posix()


def of_each(places: Sequence[Any]) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """
    Turn a check of a file, or of a module's name, into one test of all of them.

    A test of each would be three thousand, and take longer to be told of than to run.
    """

    def of_all(check: Callable[[Any], None]) -> Callable[[], None]:
        def test() -> None:
            assert len(places) > 1
            faults = []
            for place in places:
                try:
                    check(place)
                except AssertionError as error:
                    name = name_of(place) if isinstance(place, Path) else place
                    faults.append(f"{name}: {error}")
            assert not faults, "\n".join(faults)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return of_all


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the parsed module."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=name_of(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return all that a module is made of: walking takes longer than looking."""
    return tuple(ast.walk(tree_of(path)))


def module_of(path: Path) -> str:
    """Return the dotted name below the package, or "entry"."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[1:]) if parts[0] == PACKAGE else "entry"


def room_of(module: str) -> str:
    """Return the room that a module of the package lies in."""
    first = module.partition(".")[0]
    if first in ROOMS:
        return first
    if first in APP_MODULES:
        return "app"
    assert first in ROOT_MODULES | {"__init__"}, f"{first} lies in no room"
    return "root"


def imported_modules(path: Path) -> Iterator[str]:
    """Yield each imported module's dotted name, wherever the import stands."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            assert node.module is not None
            if (SRC / node.module.replace(".", "/")).is_dir():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def touches_javascript(value: ast.expr | None) -> bool:
    """Return whether *value* names something of the runtime."""
    return value is not None and any(
        isinstance(node, ast.Name) and node.id in RUNTIME_ROOTS for node in ast.walk(value)
    )


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string and each run of comments; Markdown by lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    if path.suffix == ".py":
        for node in nodes_of(path):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value
    mark = "--" if path.suffix == ".sql" else "#"
    comments: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        code, found, comment = line.partition(mark)
        if comments and (code.strip() or not found):
            yield number - len(comments), " ".join(comments)
            comments = []
        if found:
            comments.append(comment)


def words_of(name: str) -> list[str]:
    """Return the words of a name in CamelCase or snake_case, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def known_words() -> set[str]:
    """Return the words of the glossary and of the list of ordinary words."""
    _, _, glossary = GLOSSARY.read_text(encoding="utf-8").partition("\n## Glossary\n")
    terms = re.findall(r"^\| (?!word )([^|]+) \|", glossary, re.MULTILINE)
    assert len(terms) > 50, "the glossary's table was not found"
    ordinary = ORDINARY_WORDS.read_text(encoding="utf-8").splitlines()
    return set(words_of(" ".join(terms))) | {word for word in ordinary if not word.startswith("#")}


@of_each(SOURCES)
def test_rooms_import_only_from_rooms_before_them(path: Path) -> None:
    """A module imports only from its own room and those before it."""
    room = room_of(module_of(path))
    for module in imported_modules(path):
        root, *rest = module.split(".")
        if root != PACKAGE:
            continue
        assert rest, f"import the module itself, not {PACKAGE}"
        other = ".".join(rest)
        is_before = ROOMS.index(room_of(other)) <= ROOMS.index(room)
        assert is_before, f"{room} must not import {other}"


def is_port(module: str) -> bool:
    """Return whether a module names what the Worker stands on."""
    return module == "ports" or module.endswith(".port")


@of_each(sorted(PURE))
def test_pure_modules_only_reckon(module: str) -> None:
    """A pure module waits for nothing, knows no port, and uses pure modules alone."""
    path = SRC / PACKAGE / f"{module.replace('.', '/')}.py"
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [] == [node.lineno for node in nodes_of(path) if isinstance(node, waiting)]
    used = {
        name.removeprefix(f"{PACKAGE}.")
        for name in imported_modules(path)
        if name.startswith(f"{PACKAGE}.")
    }
    assert set() == {name for name in used if is_port(name)}
    assert set() == used - PURE - VALUES


def decides(path: Path) -> bool:
    """Return whether a function of a module has a branch."""
    return any(
        isinstance(inner, BRANCHES) or (isinstance(inner, ast.comprehension) and inner.ifs)
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    )


def is_tested_elsewhere(place: str) -> bool:
    """Return whether a module or a room is among the exceptions."""
    return place in TESTED_ELSEWHERE or place.partition("/")[0] in TESTED_ELSEWHERE


def test_test_files_are_named_after_modules() -> None:
    """A test file in a room is named after a module of that room, which is where one looks."""
    modules = {module_of(path).replace(".", "/") for path in SOURCES}
    others = {
        test
        for test in ROOM_TESTS
        if not any(f"{test}_".startswith(f"{module}_") for module in modules)
    }
    assert set() == {test for test in others if not is_tested_elsewhere(test)}


def test_modules_that_decide_have_a_test_file() -> None:
    """Whoever changes a branch finds its test under the module's name."""
    deciding = {module_of(path).replace(".", "/") for path in SOURCES if decides(path)}
    tests = ROOM_TESTS | ROOT_TESTS
    untested = {
        module
        for module in deciding
        if not any(f"{test}_".startswith(f"{module}_") for test in tests)
    }
    assert set() == {module for module in untested if not is_tested_elsewhere(module)}
    needed = {place for module in untested for place in (module, module.partition("/")[0])}
    assert set() == set(TESTED_ELSEWHERE) - needed


@of_each(SOURCES)
def test_only_the_platform_touches_javascript(path: Path) -> None:
    """Modules of the runtime are imported at the edge; the rest runs in CPython as it is."""
    if room_of(module_of(path)) in {"platform", "entry"}:
        return
    roots = {module.split(".")[0] for module in imported_modules(path)}
    assert set() == roots - set(sys.stdlib_module_names) - LIBRARIES - {PACKAGE}


@of_each(SOURCES)
def test_module_globals_hold_nothing_of_javascript(path: Path) -> None:
    """No module or class keeps a JavaScript object: a deployment cannot snapshot it."""
    tree = tree_of(path)
    bodies = [tree.body] + [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    kept = [
        node.lineno
        for body in bodies
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign) and touches_javascript(node.value)
    ]
    assert [] == kept


@of_each(SOURCES)
def test_sql_is_written_in_tables_only(path: Path) -> None:
    """SQL text stands in the modules of tables and nowhere else."""
    if path.stem.endswith("_table"):
        return
    found = [
        node.lineno
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value)
    ]
    assert [] == found


def code_lines(path: Path) -> int:
    """Return the lines of a module on which code stands."""
    documented = [
        node.body[0]
        for node in nodes_of(path)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
    ]
    docstrings = {line for node in documented for line in lines_of(node)}
    with tokenize.open(path) as source:
        coded = {
            line
            for token in tokenize.generate_tokens(source.readline)
            if token.type not in NO_CODE
            for line in range(token.start[0], token.end[0] + 1)
        }
    return len(coded - docstrings)


def lines_of(node: ast.stmt) -> range:
    """Return the numbers of a statement's lines."""
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


@of_each(SOURCES + SCRIPTS + TESTS)
def test_files_and_functions_are_short(path: Path) -> None:
    """A source file has 300 lines of code at most, a function about 60; tests may list cases."""
    if path in TESTS:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= TEST_FILE_LINES_MAX
    else:
        assert code_lines(path) <= CODE_LINES_MAX
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert [] == long


def test_package_files_are_empty() -> None:
    """Every name has one import path: __init__.py files are empty."""
    full = [name_of(path) for path in SOURCES if path.name == "__init__.py" and path.read_text()]
    assert [] == full


def test_root_names_hide_no_other_module() -> None:
    """What lies directly in src is a root of imports; it must not hide a module of the runtime."""
    roots = {path.stem for path in SRC.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set() == roots & RESERVED_ROOTS


@of_each([path for path in TESTS if path.name.startswith("test_")])
def test_every_test_says_what_holds(path: Path) -> None:
    """Each test has a docstring of its own."""
    silent = [
        node.name
        for node in nodes_of(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]
    assert [] == silent


@of_each(CLIENT)
def test_modules_of_the_client_are_short(path: Path) -> None:
    """They have 300 lines of code at most; what its users call has long docstrings."""
    assert code_lines(path) <= CODE_LINES_MAX


@of_each([*SOURCES, *SCRIPTS, *CLIENT, *GUIDES, *CONFIGURATION])
def test_prose_uses_plain_words(path: Path) -> None:
    """Docstrings, comments, messages and guides do without the words of BANNED_WORDS."""
    found = [
        f"{name_of(path)}:{line}: {match[0]!r}; {advice}"
        for line, text in prose_of(path)
        for pattern, advice in BANNED_WORDS.items()
        for match in re.finditer(rf"\b{pattern}\b", " ".join(text.split()), re.IGNORECASE)
    ]
    assert [] == found


@of_each([*SOURCES, *SCRIPTS, *CLIENT])
def test_retired_names_are_gone(path: Path) -> None:
    """No identifier is one of RETIRED_NAMES, with or without underscores in front."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    found = [
        f"{name_of(path)}:{token.start[0]}: {token.string}; now {RETIRED_NAMES[name]}"
        for token in tokens
        if token.type == tokenize.NAME and (name := token.string.lstrip("_")) in RETIRED_NAMES
    ]
    assert [] == found


@of_each(SOURCES)
def test_names_are_made_of_known_words(path: Path) -> None:
    """The words of class and module names are ordinary ones, or stand in the glossary."""
    known = known_words()
    classes = [node.name for node in nodes_of(path) if isinstance(node, ast.ClassDef)]
    strange = [
        f"{name}: {word!r} is neither in the glossary of {name_of(GLOSSARY)} "
        f"nor in {name_of(ORDINARY_WORDS)}"
        for name in (path.stem, *classes)
        for word in words_of(name)
        if word not in known and word.removesuffix("s") not in known
    ]
    assert [] == strange


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    """Whatever mirror is used, a package is told by its hash; no registry is named."""
    for path in REQUIREMENTS:
        text = path.read_text(encoding="utf-8")
        pins = [line for line in text.splitlines() if re.match(r"[\w.-]+==", line)]
        assert pins, name_of(path)
        assert all(line.endswith("\\") for line in pins), name_of(path)
        assert "://" not in text, name_of(path)
        assert "index-url" not in text, name_of(path)
    text = NODE_LOCK.read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert [""] == [name for name, package in packages.items() if "integrity" not in package]


def test_versions_stand_once() -> None:
    """A release is named in pyproject.toml or package.json; the lock files follow."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    worker, groups = pyproject["project"]["dependencies"], pyproject["dependency-groups"]
    locked_pins = {path.stem: set(pins_of(path)) for path in REQUIREMENTS}
    assert {"worker", "dev", "uv"} == set(locked_pins)
    assert set() == set(worker) - locked_pins["worker"]
    tools = {*groups["dev"], *(pin for pin in worker if not pin.startswith("workers-runtime-sdk"))}
    assert set() == tools - locked_pins["dev"]
    assert set(groups["uv"]) == locked_pins["uv"]
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    packages = json.loads(NODE_LOCK.read_text(encoding="utf-8"))["packages"]
    locked = {name: packages[f"node_modules/{name}"]["version"] for name in wanted}
    assert wanted == locked


def pins_of(path: Path) -> list[str]:
    """Return the releases that a lock file of Python packages holds."""
    return re.findall(r"^[\w.-]+==[^\s;]+", path.read_text(encoding="utf-8"), re.MULTILINE)
