"""The set-up with the real wrangler, against Cloudflare's API as a fake on this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from building_vitals.access.api_keys import hash_key
from cloudflare_setup.names import Names, read_names
from cloudflare_setup.programs import Outcome, Wrangler
from cloudflare_setup.steps import TOKEN, Inputs, Steps
from devtools.console import StepFailed
from devtools.layout import NODE_CACHE, ROOT, SCRIPTS, SETUP_LOCK, WRANGLER_TOML
from devtools.locks import file_lock
from devtools.toolchain import Toolchain
from devtools.wrangler import NODE_FLAGS
from fakes.cloudflare_account import ACCOUNT, Call, CloudflareAccount, Refused
from fakes.cloudflare_api import CloudflareApi
from integration.harness.project_copy import with_page

SECRET = "upstream-token-that-nobody-may-see"
API_TOKEN = "token-of-the-operator"
COPIED = ("wrangler.toml", "schema.sql", "migrations", "src", "python_modules")
FLAG = re.compile(r"(?<!\S)--?[A-Za-z][A-Za-z-]*")
# In a help text: the flags that a line begins with.
SHOWN = re.compile(r"^ +((?:-\w, +)?--[a-z-]+)", re.MULTILINE)
# Prints the flags of each command that is not hidden: one start of wrangler instead of one for the
# help of each command.
LIST_COMMANDS = """
const { registry, globalFlags } = require(process.argv[1]).experimental_getWranglerCommands();
const commands = {};
const flagsOf = (options) =>
  Object.entries(options)
    .filter(([, option]) => !option.hidden)
    .flatMap(([name, option]) => [name, ...[option.alias ?? []].flat()])
    .map((name) => (name.length === 1 ? "-" : "--") + name);
const walk = ({ definition, subtree }, path) => {
  if (definition?.type === "command" && !definition.metadata?.hidden) {
    const options = { help: { alias: "h" }, ...globalFlags, ...definition.args };
    for (const name of definition.positionalArgs ?? []) delete options[name];
    commands[path.join(" ")] = flagsOf(options);
  }
  for (const [name, node] of subtree) walk(node, [...path, name]);
};
walk(registry, []);
process.stdout.write(JSON.stringify(commands), () => process.exit(0));
"""
GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# In the guides: a call of wrangler with its arguments, up to the end of the code or the line.
CALL = re.compile(r"(?:^|[` ])wrangler ((?:[a-z0-9-]+)(?: [^`\n#|]*)?)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


@dataclass
class Site:
    """
    A copy of the project, and an account on the fake.

    Attributes:
        toml: The copy's wrangler.toml.
        account: What the fake holds.
        run: Calls the real wrangler.
        key_file: Where the first key goes.
    """

    toml: Path
    account: CloudflareAccount
    run: Wrangler
    key_file: Path

    @property
    def names(self) -> Names:
        """What wrangler.toml names."""
        return read_names(self.toml.read_text(encoding="utf-8"))

    def steps(self) -> Steps:
        """Return the steps of set-up and tear-down."""
        return Steps(self.names, self.run, inputs(key_file=self.key_file, is_plan=False))

    def changes(self) -> list[str]:
        """Return the calls since the last time that changed something, and forget all calls."""
        made = [f"{call.method} {call.path}" for call in self.account.calls if call.method != "GET"]
        self.account.calls.clear()
        return made


def inputs(*, key_file: Path, is_plan: bool) -> Inputs:
    """Return what the user gives."""
    return Inputs(
        is_plan=is_plan,
        given_token=SECRET,
        ask_token=lambda: "",
        new_token=False,
        key_file=key_file,
        address=None,
        await_health=lambda _: "1.0.0",
    )


@pytest.fixture
def site(tools: Toolchain, tmp_path: Path) -> Iterator[Site]:
    """An empty account, and a copy of the project whose wrangler.toml may be changed."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    toml = folder / "wrangler.toml"
    toml.write_text(with_page(smaller(toml.read_text(encoding="utf-8"))))
    with CloudflareApi(CloudflareAccount(API_TOKEN)) as api:
        environ = {**os.environ, **environment(tmp_path, api.url)}
        command = [str(tools.node), *NODE_FLAGS, str(cli_of(tools))]
        yield Site(
            toml,
            api.account,
            Wrangler(command, environ=environ, root=folder),
            tmp_path / "first-admin-key",
        )


def cli_of(tools: Toolchain) -> Path:
    """Return the program that wrangler's own launcher starts in a second process."""
    return tools.wrangler.parents[1] / "wrangler-dist" / "cli.js"


def smaller(text: str) -> str:
    """Return a wrangler.toml with one of each kind: every start of wrangler takes a second."""
    sections = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    kept = [each for each in sections if not re.search(r'^queue = ".*-(high|low)"', each, re.M)]
    return "".join(kept)


def environment(home: Path, url: str) -> dict[str, str]:
    """Return what leads wrangler to the fake, and to nothing else."""
    return {
        "CLOUDFLARE_API_BASE_URL": url,
        "CLOUDFLARE_API_TOKEN": API_TOKEN,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "WRANGLER_LOG_PATH": str(home / "logs"),
        "WRANGLER_SEND_ERROR_REPORTS": "false",
        # wrangler is 14 MB of JavaScript; compiled once, each of its many starts is twice as fast.
        "NODE_COMPILE_CACHE": str(NODE_CACHE),
    }


def test_the_real_wrangler_sets_up_and_takes_down(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    """An empty account gets everything, a second run changes nothing, the tear-down leaves none."""
    before = site.toml.read_bytes()
    site.steps().set_up()
    account, named = site.account, site.names
    assert list(named.buckets) == list(account.buckets)
    for rules in account.rules.values():
        prefixes = {rule["conditions"].get("prefix") for rule in rules}
        assert {None, "timeseries/", "datasets/", "results/"} == prefixes
    assert [named.database] == list(account.databases)
    assert 2 == len(named.queues)
    assert set(named.queues) == set(account.queues) == set(account.consumers)
    assert ["*/5 * * * *"] == account.crons
    assert "/index.html" in account.assets
    assert any(path.endswith("/main.js") for path in account.assets)
    assert b"class Default(WorkerEntrypoint)" in account.scripts[named.worker]
    assert {TOKEN: SECRET} == account.secrets
    key = site.key_file.read_text().strip()
    select = "SELECT key_hash, role, sites FROM api_keys"
    assert [(hash_key(key), "admin", "*")] == account.sql.execute(select).fetchall()
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err
    assert key not in told.out + told.err
    assert f'  R2 Bucket "{named.buckets[0]}": made\n' in told.out
    assert (
        "  building-vitals: deployed to https://building-vitals.operator.workers.dev\n" in told.out
    )

    site.changes()
    bindings = list(account.bindings)
    site.steps().set_up()
    assert (before, key) == (site.toml.read_bytes(), site.key_file.read_text().strip())
    assert bindings == account.bindings
    assert_only_harmless(site.changes(), named.worker)
    assert ": made" not in capfd.readouterr().out

    account.buckets[named.buckets[0]] = 3
    with pytest.raises(StepFailed, match=f"not empty yet: {named.buckets[0]};"):
        site.steps().tear_down()
    account.buckets[named.buckets[0]] = 0
    site.steps().tear_down()
    assert ({}, {}, {}, {}, {}) == (
        account.buckets,
        account.databases,
        account.queues,
        account.consumers,
        account.scripts,
    )


def assert_only_harmless(changes: list[str], worker: str) -> None:
    """See that a second run has deployed, stored what it was given, and made nothing."""
    script = f"/workers/scripts/{worker}"
    harmless = re.compile(
        rf"(POST|PUT|PATCH) {script}/(versions|deployments|script-settings|subdomain|schedules"
        r"|secrets|assets-upload-session)|PUT /queues/\w+/consumers/.*|PUT /r2/buckets/.*/lifecycle"
        # Refused, because it exists; queries of migrations and keys.
        r"|POST /queues|POST /d1/database/[0-9a-f-]+/query"
    )
    assert [] == [each for each in changes if not harmless.fullmatch(each)]


def test_wrangler_leaves_the_dead_letter_queue_to_the_set_up(site: Site) -> None:
    """Without it a deployment stops before it makes anything; when that changes, a step can go."""
    outcome = site.run(["deploy"])
    assert 1 == outcome.status
    assert 'Queue "chart-processing-dlq" does not exist' in outcome.text
    assert [] == site.changes()


def test_a_deployment_that_stops_halfway_is_finished_by_the_next(site: Site) -> None:
    """wrangler takes what an earlier run of it has made, and makes the rest."""
    refused = Refused(403, 10042, "Please enable R2 through the Cloudflare Dashboard.")

    def refuse(call: Call) -> Refused | None:
        return refused if (call.method, call.path) == ("POST", "/r2/buckets") else None

    site.account.refuse = refuse
    with pytest.raises(StepFailed, match="enable R2 for this account") as caught:
        site.steps().set_up()
    assert caught.value.tail.startswith("[ERROR] A request to the Cloudflare API")
    made = dict(site.account.databases)
    assert ([site.names.database], {}) == (list(made), site.account.scripts)
    site.account.refuse = lambda _: None
    site.steps().set_up()
    assert made == site.account.databases
    assert set(site.names.queues) == set(site.account.consumers)
    assert {TOKEN: SECRET} == site.account.secrets


class Commands:
    """The commands of the installed wrangler and their flags, as it tells them itself."""

    def __init__(self, tools: Toolchain, home: Path) -> None:
        self._cli = str(cli_of(tools))
        self._node = [str(tools.node), *NODE_FLAGS]
        self._env = {**os.environ, **environment(home, "http://127.0.0.1:9"), "CI": "1"}
        self._flags = {
            tuple(path.split()): frozenset(flags)
            for path, flags in json.loads(self._run("-e", LIST_COMMANDS, self._cli)).items()
        }

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - the wrangler of package-lock.json
            [*self._node, *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def flags(self, *path: str) -> frozenset[str]:
        """Return the flags of a command."""
        return self._flags[path]

    def shown_flags(self, *path: str) -> frozenset[str]:
        """Return the flags that the help of a command shows."""
        lines = SHOWN.findall(self._run(self._cli, *path, "--help"))
        return frozenset(flag for line in lines for flag in FLAG.findall(line))

    def problems(self, call: tuple[str, ...]) -> list[str]:
        """Return what of a call wrangler does not know."""
        known = [call[:count] for count in range(len(call), 0, -1) if call[:count] in self._flags]
        if not known:
            return [f"no such command: {' '.join(call)}"]
        path = known[0]
        flags = [FLAG.match(word) for word in call[len(path) :]]
        unknown = [found[0] for found in flags if found and found[0] not in self._flags[path]]
        return [f"{' '.join(path)} has no {flag}" for flag in unknown]


def planned_calls(key_file: Path) -> list[tuple[str, ...]]:
    """Return every call that the set-up and the tear-down may make."""
    found: list[tuple[str, ...]] = []

    def note(arguments: Sequence[str], *, stdin: str = "") -> Outcome:
        found.append(tuple(arguments))
        return Outcome(0)

    names = read_names(WRANGLER_TOML.read_text(encoding="utf-8"))
    steps = Steps(names, note, inputs(key_file=key_file, is_plan=True))
    steps.set_up()
    steps.tear_down()
    assert not key_file.exists()
    return found


def guide_calls() -> list[tuple[str, ...]]:
    """Return every call of wrangler that README and guides show as code."""
    found = []
    for path in GUIDES:
        for code in FENCE.findall(path.read_text(encoding="utf-8")):
            calls = CALL.findall(code.replace("wrangler.py ", "wrangler "))
            found += [tuple(call.split()) for call in calls]
    return found


def test_wrangler_knows_every_command_and_flag(tools: Toolchain, tmp_path: Path) -> None:
    """Set-up, tear-down and guides use only what the installed wrangler lists."""
    shown = guide_calls()
    assert ("tail", "--format=pretty") in shown
    commands = Commands(tools, tmp_path)
    calls = [*planned_calls(tmp_path / "key"), *shown]
    assert [] == sorted({problem for call in calls for problem in commands.problems(call)})
    wrong = ("d1", "execute", "db", "--no-such-flag")
    assert ["d1 execute has no --no-such-flag"] == commands.problems(wrong)
    assert ["no such command: r2 object-list"] == commands.problems(("r2", "object-list"))
    assert commands.shown_flags("d1", "execute") == commands.flags("d1", "execute")


def test_keys_can_be_managed_after_the_set_up(tools: Toolchain, tmp_path: Path) -> None:
    """
    scripts/api_key.py works on the same account, with wrangler's own log-in.

    What it prints is the key alone, though it had to wait for another set-up and said so.
    """
    account = CloudflareAccount(API_TOKEN)
    named = read_names(WRANGLER_TOML.read_text(encoding="utf-8"))
    account.databases[named.database] = str(uuid.uuid4())
    for statement in (ROOT / "schema.sql").read_text(encoding="utf-8").split("\n\n"):
        account.sql.executescript(statement)
    with CloudflareApi(account) as api:
        env = {**os.environ, **environment(tmp_path, api.url)}
        with file_lock(SETUP_LOCK, waiting="", seconds=60, refusal="held by another"):
            making = key_script("create", "--remote", "--name", "wall", "--sites", "*", env=env)
            assert making.stderr is not None
            assert "another set-up is running" in making.stderr.readline()
        key, told = making.communicate()
        assert 0 == making.returncode, told
        listed, _ = key_script("list", "--remote", env=env).communicate()
        assert "wall" in listed
        stored = account.sql.execute("SELECT key_hash FROM api_keys").fetchall()
        assert [(hash_key(key.removesuffix("\n")),)] == stored


def key_script(*arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start scripts/api_key.py."""
    return subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(SCRIPTS / "api_key.py"), *arguments],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
