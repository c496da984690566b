"""The set-up of a Cloudflare account: every step, stopped anywhere, run again, and taken down."""

from __future__ import annotations

import ast
import io
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import setup_cloudflare
from building_vitals.access.api_keys import hash_key, is_well_formed
from building_vitals.cache import object_keys
from cloudflare_setup import programs
from cloudflare_setup.names import read_names
from cloudflare_setup.programs import Outcome, show
from cloudflare_setup.smoke import await_health
from cloudflare_setup.steps import PREFIXES, TOKEN, Inputs, Steps
from devtools import toolchain
from devtools.console import StepFailed
from devtools.layout import ROOT, SCRIPTS, WRANGLER_TOML
from fakes.wrangler import ADDRESS, BUCKET, FakeWrangler, failed

TEXT = WRANGLER_TOML.read_text(encoding="utf-8")
SECRET = "upstream-token-that-nobody-may-see"
MODULES = sorted((SCRIPTS / "cloudflare_setup").glob("*.py"))


class Bench:
    """
    An account, and what the user gives.

    Attributes:
        wrangler: The account.
        text: wrangler.toml.
        token: The upstream's token in the environment.
        typed: What is typed when asked for it.
        new_token: Whether it is to be asked for again.
        url: Address in the command line.
        key_file: Where the first key goes.
        asked: Addresses whose health was asked for.
    """

    def __init__(self, folder: Path, *, token: str | None = SECRET) -> None:
        self.wrangler = FakeWrangler()
        self.text = TEXT
        self.token = token
        self.typed = ""
        self.new_token = False
        self.url: str | None = None
        self.key_file = folder / "made" / "key"
        self.asked: list[str] = []

    def steps(self) -> Steps:
        """Return the steps on the account."""
        return Steps(read_names(self.text), self.wrangler, self._inputs(is_plan=False))

    def set_up(self) -> None:
        """Run the set-up."""
        self.steps().set_up()

    def tear_down(self) -> None:
        """Run the tear-down."""
        self.steps().tear_down()

    def plan(self) -> Steps:
        """Return the steps that only show what they would do."""
        return Steps(read_names(self.text), show, self._inputs(is_plan=True))

    def _inputs(self, *, is_plan: bool) -> Inputs:
        return Inputs(
            is_plan=is_plan,
            given_token=self.token,
            ask_token=lambda: self.typed,
            new_token=self.new_token,
            key_file=self.key_file,
            address=self.url,
            await_health=self._await_health,
        )

    def _await_health(self, address: str) -> str:
        self.asked.append(address)
        return "1.0.0"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty account."""
    return Bench(tmp_path)


def comparable(line: str) -> str:
    """Return a call without what differs from run to run: the key's row, a file's folder."""
    line = re.sub(r"INSERT INTO api_keys.*", "INSERT INTO api_keys", line, flags=re.S)
    return re.sub(r"--file .*rules\.json", "--file rules.json", line)


def shown(plan: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the calls that a plan shows."""
    capsys.readouterr()
    plan()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return [comparable(line) for line in lines if line.startswith("wrangler ")]


def test_an_empty_account_gets_everything(bench: Bench) -> None:
    """All that wrangler.toml names is there afterwards, and the deployed Worker was asked."""
    bench.set_up()
    named = read_names(bench.text)
    assert {
        name: {"timeseries/": 98, "datasets/": 98, "results/": 98} for name in named.buckets
    } == (bench.wrangler.rules)
    assert {named.database: True} == bench.wrangler.databases
    assert set(named.queues) == set(bench.wrangler.queues) == bench.wrangler.consumers
    assert {TOKEN: SECRET} == bench.wrangler.secrets
    assert [ADDRESS] == bench.asked


def test_every_step_is_reported(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was made is named, by wrangler or the set-up; the next run says what was there."""
    bench.set_up()
    told = capsys.readouterr().out
    for line in (
        "accounts: Operator",
        "chart-processing-dlq: made",
        "building-vitals-db: does not exist yet",
        'D1 Database "building-vitals-db": made',
        f'R2 Bucket "{BUCKET}": made',
        'Queue "chart-processing-low": made',
        f"building-vitals: deployed to {ADDRESS}",
        "building-vitals-db: up to date",
        f"{BUCKET}: set",
        f"{TOKEN}: stored",
        f"{bench.key_file}: holds the key: move it to where you keep passwords",
        f"{ADDRESS}: healthy, version 1.0.0",
    ):
        assert f"  {line}\n" in told
    bench.token = None
    bench.set_up()
    told = capsys.readouterr().out
    assert ": made" not in told
    for line in ("chart-processing-dlq: exists", f"{TOKEN}: exists"):
        assert f"  {line}\n" in told


def test_a_second_run_changes_nothing(bench: Bench) -> None:
    """What exists is recognised: nothing is made, stored or written again."""
    bench.set_up()
    before = (bench.wrangler.state(), bench.key_file.read_text(), len(bench.wrangler.keys))
    bench.token = None
    bench.wrangler.lines.clear()
    bench.set_up()
    assert before == (bench.wrangler.state(), bench.key_file.read_text(), len(bench.wrangler.keys))
    assert not [line for line in bench.wrangler.lines if " put " in line or "INSERT" in line]


def test_tables_come_before_the_code_that_needs_them(bench: Bench) -> None:
    """A new database gets its tables after the deployment that makes it, a known one before."""
    bench.set_up()
    migrate = "wrangler d1 migrations apply building-vitals-db --remote"
    first = [line for line in bench.wrangler.lines if line in (migrate, "wrangler deploy")]
    assert [migrate, "wrangler deploy", migrate] == first
    bench.wrangler.lines.clear()
    bench.set_up()
    second = [line for line in bench.wrangler.lines if line in (migrate, "wrangler deploy")]
    assert [migrate, "wrangler deploy"] == second


# More than a whole set-up runs; beyond its last call nothing fails.
CALLS_MAX = 12


@pytest.mark.parametrize("stop", range(CALLS_MAX))
def test_a_run_that_was_stopped_is_finished_by_the_next(stop: int, tmp_path: Path) -> None:
    """Whichever call fails, the next run ends with the same account as an undisturbed one."""
    calm, bench = Bench(tmp_path / "a"), Bench(tmp_path / "b")
    calm.set_up()
    assert len(calm.wrangler.lines) < CALLS_MAX

    def fail(line: str) -> Outcome | None:
        return failed("fetch failed") if len(bench.wrangler.lines) == stop + 1 else None

    bench.wrangler.fail = fail
    if stop < len(calm.wrangler.lines):
        with pytest.raises(StepFailed, match="failed"):
            bench.set_up()
    bench.set_up()
    assert calm.wrangler.state() == bench.wrangler.state()
    assert 1 == len(bench.wrangler.keys)


def test_the_plan_is_what_is_run(
    bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty account gets the calls that the plan shows, in its order, and none besides."""
    bench.token = None
    bench.typed = SECRET
    plan = shown(bench.plan().set_up, capsys)
    assert [] == list(tmp_path.iterdir())
    bench.set_up()
    assert plan == [comparable(line) for line in bench.wrangler.lines]


def test_the_plan_names_what_wrangler_makes(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bucket, database and queues are in the plan, although one command makes them all."""
    bench.plan().set_up()
    told = capsys.readouterr().out
    named = read_names(TEXT)
    for name in (*named.buckets, named.database, *named.queues):
        assert f" {name}" in told, name
    assert SECRET not in told


def test_the_tear_down_plan_is_what_is_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same holds for the tear-down of buckets with objects in them."""
    bench.set_up()
    bench.wrangler.buckets[BUCKET] = 3
    bench.wrangler.lines.clear()
    with pytest.raises(StepFailed, match=f"not empty yet: {BUCKET}; "):
        bench.tear_down()
    ran = [comparable(line) for line in bench.wrangler.lines]
    assert shown(bench.plan().tear_down, capsys) == ran


def test_the_secret_goes_through_standard_input_alone(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is in no command line and in nothing that is printed, and goes to one command."""
    bench.set_up()
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err + "".join(bench.wrangler.lines)
    assert {f"wrangler secret put {TOKEN}": SECRET} == bench.wrangler.stdins


def test_a_failure_does_not_tell_the_secret(bench: Bench) -> None:
    """Even if wrangler echoes the token, what is reported does not hold it."""
    bench.wrangler.fail = lambda line: (
        failed(f"could not store {SECRET}") if "secret put" in line else None
    )
    with pytest.raises(StepFailed) as caught:
        bench.set_up()
    assert "could not store ***" in caught.value.tail
    assert SECRET not in str(caught.value) + caught.value.tail


def test_wrangler_does_not_see_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that wrangler gets lacks the variable that the set-up takes it from."""
    monkeypatch.setenv(TOKEN, SECRET)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "id-1")
    environ = setup_cloudflare._environ()
    assert SECRET not in environ.values()
    assert "id-1" == environ["CLOUDFLARE_ACCOUNT_ID"]


def test_the_first_key_goes_to_a_private_file(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key is printed nowhere, is stored as its hash, and lies in a file of this user alone."""
    bench.set_up()
    key = bench.key_file.read_text().strip()
    assert is_well_formed(key)
    assert hash_key(key) in bench.wrangler.keys[0]
    told = capsys.readouterr()
    assert key not in told.out + told.err + "".join(bench.wrangler.lines)
    assert 0o600 == stat.S_IMODE(bench.key_file.stat().st_mode)


def test_a_key_that_cannot_be_kept_is_not_made(bench: Bench) -> None:
    """Where the file cannot be written, no key comes to be that nobody has."""
    bench.key_file.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="made"):
        bench.set_up()
    assert [] == bench.wrangler.keys


def test_open_access_needs_no_key(bench: Bench) -> None:
    """With AUTH_MODE open no key is made."""
    bench.text = TEXT.replace('AUTH_MODE = "keys"', 'AUTH_MODE = "open"')
    bench.set_up()
    assert [] == bench.wrangler.keys


def test_without_a_token_the_worker_is_deployed_all_the_same(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing given and nothing typed: no secret is stored, and the set-up says so and goes on."""
    bench.token = None
    bench.set_up()
    assert {} == bench.wrangler.secrets
    assert f"{TOKEN}: left out" in capsys.readouterr().out
    assert [ADDRESS] == bench.asked


def test_a_token_that_is_stored_is_not_asked_for_again(bench: Bench) -> None:
    """A later run leaves the secret, unless it is given one or told to ask."""
    bench.set_up()
    bench.token, bench.typed = None, "another"
    bench.set_up()
    assert {TOKEN: SECRET} == bench.wrangler.secrets
    bench.new_token = True
    bench.set_up()
    assert {TOKEN: "another"} == bench.wrangler.secrets


def test_the_token_is_read_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal the first line of standard input is the token."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{SECRET}\nmore\n"))
    assert SECRET == setup_cloudflare._ask_token()


def test_nobody_logged_in_is_told_what_to_do(bench: Bench) -> None:
    """Without a log-in nothing but the question is run, and the way to log in is named."""
    bench.wrangler.is_logged_in = False
    with pytest.raises(StepFailed, match=r"not logged in: .* scripts/wrangler\.py login"):
        bench.set_up()
    assert ["wrangler whoami --json"] == bench.wrangler.lines


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        pytest.param("no [code: 10042]", "enable R2", id="R2 not enabled"),
        pytest.param("no [code: 100328]", "needs the Workers Paid plan", id="free plan"),
        pytest.param("no [code: 10000]", "lacks a permission", id="token without a permission"),
        pytest.param("no [code: 10085]", "r2 bucket create", id="bucket deleted by hand"),
        pytest.param("no [code: 11000]", "queues create", id="queue deleted by hand"),
        pytest.param("no [code: 7404]", "--tear-down first", id="database deleted by hand"),
        pytest.param("More than one account", "CLOUDFLARE_ACCOUNT_ID", id="several accounts"),
        pytest.param(
            "You must use a real database in the database_id configuration.",
            "delete the line database_id",
            id="another account's database",
        ),
    ],
)
def test_known_refusals_come_with_advice(message: str, advice: str, bench: Bench) -> None:
    """Where it is known what wrangler means, the error says what to do."""
    bench.wrangler.fail = lambda line: failed(message) if line == "wrangler deploy" else None
    with pytest.raises(StepFailed, match=advice):
        bench.set_up()


def test_the_error_is_shown_without_its_stack_trace(bench: Bench) -> None:
    """What is shown begins with wrangler's error, whatever it printed before and after."""
    trace = "\n".join(f"    at frame {number}" for number in range(30))
    bench.wrangler.fail = lambda _: Outcome(1, "hello", f"\n✘ [ERROR] no\n\n{trace}")
    with pytest.raises(StepFailed) as caught:
        bench.set_up()
    assert caught.value.tail.startswith("[ERROR] no\n")
    assert len(caught.value.tail.splitlines()) == 12


def test_a_rule_with_other_days_is_replaced(bench: Bench) -> None:
    """A change of how long data are kept reaches the buckets' rules."""
    bench.set_up()
    bench.text = TEXT.replace('TRUST_MAX = "7776000"', f'TRUST_MAX = "{120 * 86400}"')
    bench.set_up()
    # 120 days, 1 day of grace, 7 to spare.
    assert {BUCKET: {"timeseries/": 128, "datasets/": 128, "results/": 128}} == bench.wrangler.rules


def test_the_tear_down_leaves_nothing(bench: Bench) -> None:
    """Afterwards the account is empty, and a second tear-down finds nothing to do."""
    empty = FakeWrangler().state()
    bench.set_up()
    bench.wrangler.secrets.clear()
    bench.tear_down()
    assert empty == bench.wrangler.state()
    bench.tear_down()


def test_full_buckets_are_emptied_by_a_rule(bench: Bench) -> None:
    """Objects expire within a day; the tear-down says so, and finishes when run again."""
    bench.set_up()
    bench.wrangler.buckets[BUCKET] = 5
    with pytest.raises(StepFailed, match="run this again tomorrow"):
        bench.tear_down()
    assert {BUCKET: {"": 1}} == bench.wrangler.rules
    bench.wrangler.buckets[BUCKET] = 0
    bench.tear_down()
    assert {} == bench.wrangler.buckets


def test_a_set_up_after_a_tear_down_keeps_objects_again(bench: Bench) -> None:
    """The rule that empties a bucket goes when the account is set up again."""
    bench.set_up()
    bench.wrangler.buckets[BUCKET] = 5
    with pytest.raises(StepFailed):
        bench.tear_down()
    bench.set_up()
    assert {BUCKET: {"timeseries/": 98, "datasets/": 98, "results/": 98}} == bench.wrangler.rules


@pytest.mark.parametrize("typed", ["", "yes", "Building-Vitals", "building-vitals-db"])
def test_the_tear_down_wants_the_workers_name(typed: str) -> None:
    """Anything but the Worker's name, typed in full, deletes nothing."""
    done = run_script("--tear-down", stdin=f"{typed}\n")
    assert 1 == done.returncode
    assert "nothing was deleted" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--tear-down",)], ids=["set-up", "tear-down"])
def test_a_dry_run_needs_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """The plan is printed without a log-in, tools or network."""
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
    """Whatever the Worker stores lies below a prefix that has a rule; an archive has none."""
    prefixes = {getattr(object_keys, name) for name in vars(object_keys) if name.endswith("PREFIX")}
    assert prefixes - {object_keys.BLOCKS_PREFIX} == set(PREFIXES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name = ", "not as this script expects it: Invalid value", id="no TOML"),
        pytest.param('name = "x"', "lacks 'vars'", id="without options"),
        pytest.param(
            TEXT.replace('STALE_GRACE = "86400"', 'STALE_GRACE = "a day"'),
            "not as this script expects it: .*'a day'",
            id="no number",
        ),
    ],
)
def test_a_bad_configuration_stops_before_anything(text: str, message: str) -> None:
    """wrangler.toml is checked before anything is asked or made."""
    with pytest.raises(StepFailed, match=message):
        read_names(text)


def test_wrangler_toml_names_no_database_id() -> None:
    """An id would be taken as given, and wrangler would neither make nor look for the database."""
    assert "database_id =" not in TEXT


class Answers:
    """Health answers in turn, the last one for ever; an exception is raised."""

    def __init__(self, *answers: tuple[int, bytes] | Exception) -> None:
        self._answers = list(answers)
        self.urls: list[str] = []
        self.pauses = 0

    def ask(self, url: str) -> tuple[int, bytes]:
        """Return the next answer."""
        self.urls.append(url)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pause(self, _: float) -> None:
        """Count it."""
        self.pauses += 1

    def wait(self) -> str:
        """Run the smoke test."""
        return await_health("https://x.workers.dev/", ask=self.ask, pause=self.pause)


def test_the_smoke_test_waits_for_a_healthy_answer() -> None:
    """No answer, somebody else's page and a degraded Worker are asked again."""
    answers = Answers(
        OSError("unknown host"),
        (404, b"<html>There is nothing here yet</html>"),
        (200, b'["another service"]'),
        (503, b'{"status":"degraded","service":"building-vitals","checks":{"d1":"no"}}'),
        (200, b'{"status":"healthy","service":"building-vitals","version":"1.0.0"}'),
    )
    assert "1.0.0" == answers.wait()
    assert {"https://x.workers.dev/api/health"} == set(answers.urls)
    assert 4 == answers.pauses


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(OSError("refused"), "refused", id="nobody there"),
        pytest.param((200, b'{"status":"healthy"}'), "status 200", id="another service"),
        pytest.param(
            (503, b'{"status":"degraded","service":"building-vitals","checks":{"r2":"no"}}'),
            'status 503, checks {"r2": "no"}',
            id="degraded",
        ),
    ],
)
def test_the_smoke_test_gives_up(answer: tuple[int, bytes] | Exception, said: str) -> None:
    """After its requests it fails and says what it saw last."""
    with pytest.raises(StepFailed, match=re.escape(said)):
        Answers(answer).wait()


def test_an_address_can_be_given(bench: Bench) -> None:
    """With --url the smoke test asks that address, whatever the deployment says."""
    bench.url = "https://vitals.example.com"
    bench.set_up()
    assert ["https://vitals.example.com"] == bench.asked


def test_only_web_addresses_are_asked() -> None:
    """An address that is none is refused before anything is opened."""
    with pytest.raises(StepFailed, match="not an address of a Worker: file:///etc/passwd"):
        await_health("file:///etc/passwd")


def test_a_worker_without_an_address_is_said_to_have_none(bench: Bench) -> None:
    """Where the deployment tells no address, all is done but the last step, which says how to."""
    bench.set_up()
    bench.wrangler.secrets.clear()
    bench.wrangler.fail = lambda line: Outcome(0, "Deployed") if line.endswith("deploy") else None
    with pytest.raises(StepFailed, match="--url"):
        bench.set_up()
    assert {TOKEN: SECRET} == bench.wrangler.secrets


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


def test_statistics_may_have_a_database(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever STATS_DB stands, its database is migrated and deleted too; keys go into DB alone."""
    second = '[[d1_databases]]\nbinding = "STATS_DB"\ndatabase_name = "request-statistics"\n\n'
    bench.text = TEXT.replace("[[d1_databases]]", f"{second}[[d1_databases]]", 1)
    names = read_names(bench.text)
    assert "building-vitals-db" == names.database
    assert ("building-vitals-db", "request-statistics") == names.databases
    calls = shown(bench.plan().set_up, capsys)
    for name in names.databases:
        assert f"wrangler d1 migrations apply {name} --remote" in calls
    assert [] == [call for call in calls if "d1 execute request-statistics" in call]
    torn_down = shown(bench.plan().tear_down, capsys)
    assert 2 == len([call for call in torn_down if call.startswith("wrangler d1 delete ")])
