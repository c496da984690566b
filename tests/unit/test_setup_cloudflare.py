"""The set-up of a Cloudflare account: every step, stopped anywhere, run again, and taken down."""

from __future__ import annotations

import ast
import io
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import setup_cloudflare
from building_vitals.access.api_keys import hash_key, is_well_formed
from building_vitals.cache import object_keys
from cloudflare_setup import commands, programs
from cloudflare_setup.account import Account
from cloudflare_setup.commands import Command
from cloudflare_setup.inputs import TOKEN, Inputs
from cloudflare_setup.programs import Outcome
from cloudflare_setup.resources import (
    LIFECYCLE_PREFIXES,
    PLACEHOLDER_ID,
    read_resources,
    with_database_id,
)
from cloudflare_setup.set_up import SetUp
from cloudflare_setup.smoke import await_health
from cloudflare_setup.step import Paths, Step, plan_lines, run_steps
from cloudflare_setup.tear_down import TearDown
from devtools import toolchain
from devtools.console import StepFailed
from devtools.layout import ROOT, SCRIPTS, WRANGLER_TOML
from fakes.wrangler import ADDRESS, FakeWrangler, refused

TEXT = WRANGLER_TOML.read_text(encoding="utf-8")
FRESH = with_database_id(TEXT, PLACEHOLDER_ID)
SECRET = "upstream-token-that-nobody-may-see"
HEALTHY = {"status": "healthy", "service": "building-vitals", "version": "1.0.0"}
MODULES = sorted((SCRIPTS / "cloudflare_setup").glob("*.py"))


class Terminal(io.StringIO):
    """Standard input that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Bench:
    """
    An account, a copy of wrangler.toml, and what the user gives.

    Attributes:
        asked: Addresses whose health was asked for.
    """

    def __init__(self, folder: Path, *, token: str | None = SECRET) -> None:
        folder.mkdir(exist_ok=True)
        self.wrangler = FakeWrangler()
        self.paths = Paths(
            wrangler_toml=folder / "wrangler.toml",
            migrations=folder / "migrations",
            key_file=folder / "made" / "key",
        )
        self.paths.wrangler_toml.write_text(FRESH, encoding="utf-8")
        self.environ = {TOKEN: token} if token else {}
        self.stdin: io.StringIO = io.StringIO("")
        self.asked: list[str] = []

    def steps(self, **options: Any) -> list[Step]:
        """Return the set-up's steps, as wrangler.toml is now."""
        return SetUp(
            read_resources(self.text),
            self.paths,
            account=Account(self.wrangler),
            inputs=Inputs(self.environ, self.stdin, ask_hidden=lambda _: self.stdin.readline()),
            await_health=self._await_health,
            environ=self.environ,
            **options,
        ).steps()

    def set_up(self, **options: Any) -> None:
        """Run the set-up."""
        run_steps(self.steps(**options))

    def tear_down_steps(self) -> list[Step]:
        """Return the tear-down's steps."""
        account = Account(self.wrangler)
        named = read_resources(self.text)
        return TearDown(named, self.paths, account=account, environ=self.environ).steps()

    def tear_down(self) -> None:
        """Run the tear-down."""
        run_steps(self.tear_down_steps())

    @property
    def text(self) -> str:
        """wrangler.toml as it is now."""
        return self.paths.wrangler_toml.read_text(encoding="utf-8")

    @property
    def lines(self) -> list[str]:
        """All that was run."""
        return [command.line for command in self.wrangler.ran]

    def _await_health(self, address: str) -> dict[str, str]:
        self.asked.append(address)
        return HEALTHY


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty account."""
    return Bench(tmp_path)


def planned(steps: list[Step]) -> set[str]:
    """Return every command that steps may run, the value of the key's row left out."""
    shown = (each for step in steps for each in step.commands if isinstance(each, Command))
    return {without_values(command.line) for command in shown}


def without_values(line: str) -> str:
    """Return a command without the values of the key's row."""
    return re.sub(r"INSERT INTO api_keys.*", "INSERT INTO api_keys", line, flags=re.S)


def test_an_empty_account_gets_everything(bench: Bench) -> None:
    """All that wrangler.toml names is there afterwards, and the deployed Worker was asked."""
    bench.set_up()
    named = read_resources(bench.text)
    assert set(named.buckets) == set(bench.wrangler.buckets)
    rules = {"timeseries-safety-net": "30", "datasets-safety-net": "30"}
    assert dict.fromkeys(named.buckets, rules) == bench.wrangler.rules
    assert [named.database] == list(bench.wrangler.databases)
    assert 1 == bench.wrangler.schema_runs
    assert set(named.queues) == set(bench.wrangler.queues)
    assert {TOKEN: SECRET} == bench.wrangler.secrets
    assert bench.wrangler.is_deployed
    assert [ADDRESS] == bench.asked


def test_the_database_id_line_is_all_that_changes(bench: Bench) -> None:
    """wrangler.toml keeps every other line, comments and all."""
    bench.set_up()
    changed = [
        (before, after)
        for before, after in zip(FRESH.splitlines(), bench.text.splitlines(), strict=True)
        if before != after
    ]
    (database_id,) = bench.wrangler.databases.values()
    assert [(f'database_id = "{PLACEHOLDER_ID}"', f'database_id = "{database_id}"')] == changed


def test_a_second_run_makes_nothing(bench: Bench) -> None:
    """What exists is recognised: nothing is created, stored or written again."""
    bench.set_up()
    state = {name: repr(value) for name, value in vars(bench.wrangler).items() if name != "ran"}
    key, text = bench.paths.key_file.read_text(), bench.text
    bench.wrangler.ran.clear()
    bench.environ = {}
    bench.set_up()
    assert (key, text) == (bench.paths.key_file.read_text(), bench.text)
    for name in ("buckets", "rules", "databases", "queues", "secrets", "keys"):
        assert state[name] == repr(getattr(bench.wrangler, name)), name
    created = [line for line in bench.lines if " add " in line or " put " in line]
    created += [line for line in bench.lines if "queues create" in line or "d1 create" in line]
    assert [] == created


# More than a whole set-up runs; beyond its last command nothing fails.
COMMANDS_MAX = 45


@pytest.mark.parametrize("stop", range(COMMANDS_MAX))
def test_a_run_that_was_stopped_is_finished_by_the_next(stop: int, tmp_path: Path) -> None:
    """Whichever command fails, the next run ends with the same account as an undisturbed one."""
    calm, bench = Bench(tmp_path / "a"), Bench(tmp_path / "b")
    calm.set_up()
    failed: list[str] = []

    def fail(command: Command) -> Outcome | None:
        if len(bench.wrangler.ran) <= stop or failed:
            return None
        failed.append(command.line)
        return Outcome(1, "", "fetch failed")

    bench.wrangler.fail = fail
    if stop < len(calm.wrangler.ran):
        with pytest.raises(StepFailed):
            bench.set_up()
    assert (stop < len(calm.wrangler.ran)) == bool(failed)
    bench.set_up()
    for name in ("buckets", "rules", "databases", "queues", "secrets", "consumers"):
        assert getattr(calm.wrangler, name) == getattr(bench.wrangler, name), name
    assert 1 == len(bench.wrangler.keys)
    assert calm.text == bench.text


def test_the_plan_is_what_is_run(tmp_path: Path) -> None:
    """An empty account needs no command that the plan does not show; none is shown in vain."""
    bench = Bench(tmp_path, token=None)
    bench.stdin = Terminal(f"{SECRET}\n")
    shown = planned(bench.steps())
    bench.set_up()
    ran = {without_values(line) for line in bench.lines}
    assert set() == ran - shown
    assert [] == [line for line in shown - ran if " lifecycle remove " not in line]


def test_the_tear_down_plan_is_what_is_run(bench: Bench) -> None:
    """The same holds for the tear-down of buckets with objects in them."""
    bench.set_up()
    bench.wrangler.buckets = dict.fromkeys(bench.wrangler.buckets, 3)
    shown = planned(bench.tear_down_steps())
    bench.wrangler.ran.clear()
    with pytest.raises(StepFailed, match="not empty yet: building-vitals-timeseries, "):
        bench.tear_down()
    assert shown == set(bench.lines)


def test_migrations_go_before_the_schema_file(bench: Bench) -> None:
    """With a folder of migrations those are applied, without one schema.sql."""
    assert any("--file schema.sql" in line for line in planned(bench.steps()))
    bench.paths.migrations.mkdir()
    (bench.paths.migrations / "0001_first.sql").write_text("SELECT 1;")
    lines = planned(bench.steps())
    assert "wrangler d1 migrations apply building-vitals-db --remote" in lines
    assert not any("--file schema.sql" in line for line in lines)


def test_the_secret_goes_through_standard_input_alone(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is in no command line and in nothing that is printed, and goes to one command."""
    bench.set_up()
    assert not any(SECRET in line for line in bench.lines)
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    given = [
        command.line
        for command, stdin in zip(bench.wrangler.ran, bench.wrangler.stdins, strict=True)
        if stdin
    ]
    assert [f"wrangler secret put {TOKEN}"] == given


def test_a_failure_does_not_tell_the_secret(bench: Bench) -> None:
    """Even if wrangler echoes the token, what is reported does not hold it."""

    def fail(command: Command) -> Outcome | None:
        if command.arguments[:2] == ("secret", "put"):
            return Outcome(1, "", f"could not store {SECRET}")
        return None

    bench.wrangler.fail = fail
    with pytest.raises(StepFailed) as caught:
        bench.set_up()
    assert "could not store ***" in caught.value.tail
    assert SECRET not in str(caught.value) + caught.value.tail


def test_the_first_key_goes_to_a_private_file(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is printed nowhere, is stored as its hash, and lies in a file of this user alone."""
    bench.set_up()
    key = bench.paths.key_file.read_text().strip()
    assert is_well_formed(key)
    assert hash_key(key) in bench.wrangler.keys[0]
    told = capsys.readouterr()
    assert key not in told.out + told.err + repr(bench.wrangler.ran)
    assert 0o600 == stat.S_IMODE(bench.paths.key_file.stat().st_mode)


def test_a_key_that_cannot_be_kept_is_not_made(bench: Bench) -> None:
    """Where the file cannot be written, no key comes to be that nobody has."""
    bench.paths.key_file.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="made"):
        bench.set_up()
    assert [] == bench.wrangler.keys


def test_open_access_needs_no_key(bench: Bench) -> None:
    """With AUTH_MODE open there is no step for a key."""
    bench.paths.wrangler_toml.write_text(FRESH.replace('AUTH_MODE = "keys"', 'AUTH_MODE = "open"'))
    assert "First API key" not in [step.title for step in bench.steps()]


@pytest.mark.parametrize(
    ("stdin", "stored"),
    [
        pytest.param(Terminal(f"{SECRET}\n"), {TOKEN: SECRET}, id="typed on the terminal"),
        pytest.param(io.StringIO(f"{SECRET}\n"), {TOKEN: SECRET}, id="piped in"),
        pytest.param(io.StringIO(""), {}, id="nothing given"),
        pytest.param(Terminal("\n"), {}, id="left empty"),
    ],
)
def test_where_the_token_comes_from(
    stdin: io.StringIO, stored: dict[str, str], tmp_path: Path
) -> None:
    """Without the variable the token is asked for, or read from a pipe; none is none."""
    bench = Bench(tmp_path, token=None)
    bench.stdin = stdin
    bench.set_up()
    assert stored == bench.wrangler.secrets


def test_a_token_that_is_set_is_not_asked_for_again(bench: Bench) -> None:
    """A later run leaves the secret, unless it is given one or told to ask."""
    bench.set_up()
    bench.environ = {}
    bench.stdin = Terminal("another\n")
    bench.set_up()
    assert {TOKEN: SECRET} == bench.wrangler.secrets
    bench.set_up(new_token=True)
    assert {TOKEN: "another"} == bench.wrangler.secrets


def test_nobody_logged_in_is_told_what_to_do(bench: Bench) -> None:
    """Without a log-in nothing but the question is run, and the way to log in is named."""
    bench.wrangler.accounts = None
    with pytest.raises(StepFailed, match=r"not logged in .* scripts/wrangler\.py login"):
        bench.set_up()
    assert ["wrangler whoami --json"] == bench.lines


def test_of_several_accounts_one_must_be_chosen(bench: Bench) -> None:
    """Several accounts are listed; CLOUDFLARE_ACCOUNT_ID chooses."""
    bench.wrangler.accounts = {"id-1": "Work", "id-2": "Home"}
    with pytest.raises(StepFailed, match="2 accounts to choose from") as caught:
        bench.set_up()
    assert "id-2  Home" in caught.value.tail
    bench.environ["CLOUDFLARE_ACCOUNT_ID"] = "id-2"
    bench.set_up()
    assert bench.wrangler.is_deployed


def test_another_accounts_database_is_not_replaced(bench: Bench) -> None:
    """An id in wrangler.toml that this account does not have stops the run before it makes one."""
    other = "99999999-9999-9999-9999-999999999999"
    bench.paths.wrangler_toml.write_text(with_database_id(FRESH, other))
    with pytest.raises(StepFailed, match=f"wrangler.toml names database {other}"):
        bench.set_up()
    assert {} == bench.wrangler.databases


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        pytest.param(10042, "enable R2", id="R2 not enabled"),
        pytest.param(100328, "needs the Workers Paid plan", id="free plan"),
        pytest.param(10000, "lacks a permission", id="token without a permission"),
    ],
)
def test_known_refusals_come_with_advice(code: int, advice: str, bench: Bench) -> None:
    """Where it is known what a code of Cloudflare means, the message says what to do."""
    bench.wrangler.fail = lambda command: (
        refused("no", code) if command.arguments[0] == "r2" else None
    )
    with pytest.raises(StepFailed, match=advice):
        bench.set_up()


def test_a_rule_with_other_days_is_replaced(bench: Bench) -> None:
    """A change of how long data are kept reaches the buckets' rules."""
    bench.set_up()
    longer = bench.text.replace('MAX_CACHE_AGE = "86400"', f'MAX_CACHE_AGE = "{60 * 86400}"')
    assert longer != bench.text
    bench.paths.wrangler_toml.write_text(longer)
    bench.set_up()
    # 60 days, 1 day of grace, 7 to spare.
    assert {"68"} == {days for rules in bench.wrangler.rules.values() for days in rules.values()}


def test_the_tear_down_leaves_nothing(bench: Bench) -> None:
    """Afterwards the account is empty, and wrangler.toml has its placeholder back."""
    bench.set_up()
    bench.tear_down()
    left = bench.wrangler
    assert ({}, {}, [], False) == (left.buckets, left.databases, left.queues, left.is_deployed)
    assert bench.text == FRESH
    bench.tear_down()


def test_full_buckets_are_emptied_by_a_rule(bench: Bench) -> None:
    """Objects expire within a day; the tear-down says so, and finishes when run again."""
    bench.set_up()
    full = "building-vitals-timeseries"
    bench.wrangler.buckets[full] = 5
    with pytest.raises(StepFailed, match="run this again tomorrow"):
        bench.tear_down()
    assert "1" == bench.wrangler.rules[full]["tear-down"]
    assert [full] == list(bench.wrangler.buckets)
    bench.wrangler.buckets[full] = 0
    bench.tear_down()
    assert {} == bench.wrangler.buckets


@pytest.mark.parametrize("typed", ["", "yes", "Building-Vitals", "building-vitals-db"])
def test_the_tear_down_wants_the_workers_name(typed: str) -> None:
    """Anything but the Worker's name, typed in full, deletes nothing."""
    done = run_script("--tear-down", stdin=f"{typed}\n")
    assert 1 == done.returncode
    assert "nothing was deleted" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--tear-down",)], ids=["set-up", "tear-down"])
def test_a_dry_run_needs_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The plan is printed without a log-in, tools or network, and is the steps' own."""
    env = {"PATH": "/nonexistent", "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_script("--dry-run", *arguments, env=env)
    assert (0, "") == (done.returncode, done.stderr)
    for name in re.findall(r'^(?:queue|bucket_name|database_name) = "(.+)"', TEXT, re.MULTILINE):
        assert f" {name}" in done.stdout, name
    assert [] == list(tmp_path.iterdir())


def test_the_wrappers_are_thin() -> None:
    """Both wrappers call the one script with all their arguments, and hold nothing else."""
    shell = SCRIPTS / "setup-cloudflare-services.sh"
    assert 'exec python3 scripts/setup_cloudflare.py "$@"' in shell.read_text()
    assert shell.stat().st_mode & stat.S_IXUSR
    batch = (SCRIPTS / "setup-cloudflare-services.cmd").read_bytes()
    assert batch.count(b"scripts\\setup_cloudflare.py %*") == 2
    # cmd.exe reads by lines that end in CR LF.
    assert batch.count(b"\r\n") == batch.count(b"\n")
    for path in (shell, SCRIPTS / "setup-cloudflare-services.cmd"):
        assert len(path.read_text().splitlines()) <= 10


def test_the_shell_wrapper_works_from_anywhere(tmp_path: Path) -> None:
    """The wrapper finds the repository by itself."""
    script = str(SCRIPTS / "setup-cloudflare-services.sh")
    done = subprocess.run(  # noqa: S603 - our own script
        [script, "--dry-run"], cwd=tmp_path, capture_output=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(b"Set-up of the Worker building-vitals")


@pytest.mark.parametrize("path", [*MODULES, SCRIPTS / "setup_cloudflare.py"], ids=lambda p: p.name)
def test_nothing_needs_posix_at_import(path: Path) -> None:
    """On Windows the script starts: what only POSIX has is imported where it is used."""
    posix = {"fcntl", "termios", "pwd", "grp", "resource"}
    posix |= {"devtools.children", "devtools.locks", "devtools.signals", "devtools.toolchain"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name
        for node in tree.body
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert set() == imported & posix


def test_windows_vendors_what_posix_vendors() -> None:
    """pip is given the same flags on every system."""
    flags = (*toolchain.WORKER_TARGET, *toolchain.WORKER_ABIS, *toolchain.LOCKED)
    assert flags == programs.VENDOR_FLAGS


def test_without_the_toolchain_the_installed_node_is_used(tmp_path: Path) -> None:
    """Where there is no toolchain (Windows), wrangler runs on the Node and npm that are found."""
    for name in ("node", "npm"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    command = programs.with_installed_node(tmp_path, str(tmp_path))
    assert [str(tmp_path / "node"), "--no-warnings", str(programs.WRANGLER_JS)] == command


def test_a_missing_node_is_named(tmp_path: Path) -> None:
    """Without Node the message says which one is needed."""
    with pytest.raises(StepFailed, match=r"Node\.js 22\.12 or newer is missing"):
        programs.with_installed_node(tmp_path, str(tmp_path))


def test_lifecycle_rules_cover_every_prefix() -> None:
    """Whatever the Worker stores lies below a prefix that has a rule."""
    prefixes = {getattr(object_keys, name) for name in vars(object_keys) if name.endswith("PREFIX")}
    assert prefixes == set(LIFECYCLE_PREFIXES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name = ", "is not TOML", id="no TOML"),
        pytest.param('name = "x"', "lacks 'r2_buckets'", id="without buckets"),
        pytest.param(
            FRESH.replace('"building-vitals-timeseries"', '"Building_Vitals"'),
            "not a bucket's name: 'Building_Vitals'",
            id="bad bucket name",
        ),
        pytest.param(
            FRESH.replace('"chart-processing-low"', '"chart processing"'),
            "not a queue's name: 'chart processing'",
            id="bad queue name",
        ),
    ],
)
def test_a_bad_configuration_stops_before_anything(text: str, message: str) -> None:
    """wrangler.toml is checked before anything is asked or made."""
    with pytest.raises(StepFailed, match=message):
        read_resources(text)


@pytest.mark.parametrize("text", ["", 'database_id = "a"\ndatabase_id = "b"\n'], ids=["no", "two"])
def test_the_id_needs_its_one_line(text: str) -> None:
    """An id is never written into a file that has no line for it, or several."""
    with pytest.raises(StepFailed, match="one database_id line"):
        with_database_id(text, "x")


class Answers:
    """Health answers in turn; an exception is raised. Time passes with each pause."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        self._answers = list(answers)
        self.now = 0.0
        self.urls: list[str] = []

    def ask(self, url: str) -> tuple[int, bytes]:
        """Return the next answer; the last one for ever."""
        self.urls.append(url)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def wait(self) -> dict[str, Any]:
        """Run the smoke test."""
        return await_health(
            "https://x.workers.dev/", ask=self.ask, pause=self.pause, clock=lambda: self.now
        )


def test_the_smoke_test_waits_for_a_healthy_answer() -> None:
    """No answer, somebody else's page and a degraded Worker are asked again."""
    answers = Answers(
        OSError("unknown host"),
        (404, b"<html>There is nothing here yet</html>"),
        (503, b'{"status":"degraded","service":"building-vitals","checks":{"d1":"no"}}'),
        (200, b'{"status":"healthy","service":"building-vitals","version":"1.0.0"}'),
    )
    assert HEALTHY == answers.wait()
    assert {"https://x.workers.dev/api/health"} == set(answers.urls)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(OSError("refused"), "refused", id="nobody there"),
        pytest.param((200, b'{"status":"healthy"}'), "status 200", id="another service"),
        pytest.param(
            (503, b'{"status":"degraded","service":"building-vitals","checks":{"r2":"no"}}'),
            'degraded: {"r2": "no"}',
            id="degraded",
        ),
    ],
)
def test_the_smoke_test_gives_up(answer: tuple[int, bytes] | Exception, said: str) -> None:
    """After its time it fails and says what it saw last."""
    with pytest.raises(StepFailed, match=re.escape(said)):
        Answers(answer).wait()


def test_an_address_can_be_given(bench: Bench) -> None:
    """With --url the smoke test asks that address, whatever the deployment says."""
    bench.set_up(address="https://vitals.example.com")
    assert ["https://vitals.example.com"] == bench.asked


def test_a_location_reaches_buckets_and_database(bench: Bench) -> None:
    """The hint goes to each thing that lies somewhere."""
    bench.set_up(location="weur")
    hinted = [line for line in bench.lines if line.endswith("--location weur")]
    assert 3 == len(hinted)
    assert "weur" in setup_cloudflare.LOCATIONS


def test_plan_lines_tell_what_goes_to_standard_input(bench: Bench) -> None:
    """The plan says where the secret goes, not what it is."""
    text = "\n".join(plan_lines(bench.steps()))
    assert f"wrangler secret put {TOKEN}    # stdin: the token; unless" in text
    assert commands.KEY_SQL in text
    assert SECRET not in text


def run_script(
    *arguments: str, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script itself."""
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "scripts" / "setup_cloudflare.py"), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=60,
    )
