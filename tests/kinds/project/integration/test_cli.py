"""Every command through the executable itself, as a person or a pipeline calls it."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("reconcile")
TOKENS = '{"accessToken": "a-token", "refreshToken": "r-token", "expiresAt": 4102444800000}'
WIDGETS = "repoOwner: acme\nrepoName: widgets\n"
GEARS = "repoOwner: acme\nrepoName: gears\nskipAuth: true\n"
BROKEN = "repoOwner: acme\nrepoNam: bolts\n"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """A working directory; whatever runs in it must never show a traceback."""

    path: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "LANG": "C.UTF-8", **more}

    def run(self, *words: str, stdin: str = "", **environment: str) -> Ran:
        done = subprocess.run(
            [str(PROGRAM), *words],
            cwd=self.path,
            env=self.environment(**environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def shell(self, script: str) -> Ran:
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def at_a_terminal(self, *words: str, **environment: str) -> str:
        """Run it at a terminal of 120 columns and return what the terminal was sent."""
        ours, theirs = pty.openpty()
        more = {"TERM": "xterm-256color", "COLUMNS": "120", **environment}
        with subprocess.Popen(
            [str(PROGRAM), *words],
            cwd=self.path,
            env=self.environment(**more),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        ) as process:
            os.close(theirs)
            sent = b""
            try:
                while chunk := os.read(ours, 65536):
                    sent += chunk
            except OSError:  # what a closed terminal answers on Linux
                pass
        os.close(ours)
        assert process.returncode == 0
        return sent.decode()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Ran]]:
    """A sandbox with two projects, and the run that onboarded them."""
    place = Place(tmp_path_factory.mktemp("demo"))
    projects = place.path / "projects"
    projects.mkdir()
    (projects / "widgets.yaml").write_text(WIDGETS)
    (projects / "gears.yaml").write_text(GEARS)
    ran = place.run("--once", "--wait", "3m", "--sandbox")
    yield place, ran
    place.run("sandbox", "down")


COMMANDS = ("plan", "validate", "status", "seal", "keygen", "schema", "sandbox")


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS), ("sandbox", "env")])
def test_help_is_given(place: Place, words: tuple[str, ...]) -> None:
    ran = place.run(*words, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Usage: reconcile")


WRONG = [
    (("--wait", "3m"), "--once"),
    (("--once", "--wait", "3 parsecs"), "length of time"),
    (("plan", "--config", "nope.yaml"), "nope.yaml"),
    (("plan", "--config", "x.yaml", "--sandbox"), "--config"),
    (("--once",), "CONFIG_REPOSITORY"),
    ((), "CONFIG_REPOSITORY"),
    (("seal", "widgets"), "CONFIG_REPOSITORY"),
    (("mcp",), "CONFIG_REPOSITORY"),
    (("serve",), "CONFIG_REPOSITORY"),
    (("plan", "--projects", "nope"), "nope"),
    (("validate",), "projects"),
    (("validate", "nope.yaml"), "nope.yaml"),
    (("keygen", "--output", "no/such/folder"), "no/such/folder"),
    (("plan", "--fromat", "json"), "--format"),
    (("--sandbox", "plan"), "behind the command"),
]


@pytest.mark.parametrize(("words", "named"), WRONG)
def test_wrong_usage_is_two_and_says_what_is_wrong(place: Place, words: tuple[str, ...], named: str) -> None:
    ran = place.run(*words)
    assert ran.code == 2
    assert named in ran.err


@pytest.mark.parametrize(
    ("text", "named"),
    [("githb: {}\n", "github"), ("github: [\n", "reconciler.yaml:"), ("github: 3\n", "section github")],
)
def test_a_wrong_configuration_is_two(place: Place, text: str, named: str) -> None:
    (place.path / "reconciler.yaml").write_text(text)
    ran = place.run("plan")
    assert ran.code == 2
    assert named in ran.err


def test_a_repository_that_cannot_be_reached_is_one(place: Place) -> None:
    ran = place.run("plan", CONFIG_REPOSITORY="https://127.0.0.1:1/none.git")
    assert ran.code == 1
    assert "error: git" in ran.err


def test_a_folder_that_is_no_sandbox_is_never_deleted(place: Place) -> None:
    (place.path / ".sandbox").mkdir()
    (place.path / ".sandbox" / "thesis.txt").write_text("years of work")
    ran = place.run("sandbox", "reset")
    assert ran.code == 3
    assert (place.path / ".sandbox" / "thesis.txt").exists()


def test_keygen_makes_a_private_file_once(place: Place) -> None:
    ran = place.run("keygen")
    key = place.path / "reconciler.agekey"
    assert ran.code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    secret = key.read_text()
    assert secret.startswith("AGE-SECRET-KEY-1")
    assert secret.strip() not in ran.out + ran.err
    assert re.search(r"public key: age1[a-z0-9]{58}", ran.out)
    assert place.run("keygen").code == 2
    assert key.read_text() == secret


def test_schema_is_json(place: Place) -> None:
    ran = place.run("schema")
    assert ran.code == 0
    schema = json.loads(ran.out)
    assert "project" in schema["properties"]["kind"]["enum"]
    assert schema["$defs"]["ProjectSpec"]["properties"]["repoOwner"]


@pytest.mark.parametrize(
    "command", ["schema", "keygen", "validate", "status", "status --format json", "--help"]
)
def test_output_that_cannot_be_written_is_told(place: Place, command: str) -> None:
    (place.path / "projects").mkdir()
    place.shell(
        "git init -qb main config; git -C config -c user.name=a -c user.email=a@b commit -qm a --allow-empty"
    )
    program = f"CONFIG_REPOSITORY=$PWD/config {shlex.quote(str(PROGRAM))} {command}"
    ran = place.shell(f"{program} >/dev/full || exit $?")
    assert (ran.code, ran.err) == (1, "error: the output cannot be written: No space left on device\n")


def test_a_reader_that_has_seen_enough_is_no_error(place: Place) -> None:
    assert place.shell(f"{shlex.quote(str(PROGRAM))} schema | head -n 1") == Ran(0, "{\n", "")


def test_validate_names_file_line_and_remedy(place: Place) -> None:
    (place.path / "good.yaml").write_text(WIDGETS)
    (place.path / "bad.yaml").write_text(BROKEN)
    assert place.run("validate", "good.yaml").code == 0
    ran = place.run("validate", "good.yaml", "bad.yaml")
    assert ran.code == 2
    assert "bad.yaml:2:1: unknown field repoNam (did you mean repoName?)" in ran.err


def test_the_demo_says_where_everything_stands(demo: tuple[Place, Ran]) -> None:
    _, ran = demo
    assert ran.code == 0
    rows = {line.split()[0]: line for line in ran.out.splitlines() if line}
    assert rows["acme-gears"].split()[1:3] == ["project", "completed"]
    assert rows["acme-widgets"].split()[1:3] == ["project", "waiting_auth"]
    assert f"{PROGRAM} seal acme-widgets --sandbox < secret.json" in rows["acme-widgets"]
    assert not COLOUR.search(ran.out)
    assert "acme-widgets: project-board" in ran.err
    assert "waiting for sync of acme-gears, acme-widgets" in ran.err
    assert re.search(r"1 completed, 1 waiting_auth; \d\d changes, \d commits", ran.out)


def test_what_is_shown_as_next_step_works_as_it_stands(demo: tuple[Place, Ran]) -> None:
    place, ran = demo
    commands = [line.strip() for line in ran.out.splitlines() if line.startswith("  ")]
    made_up = next(command for command in commands if command.startswith("echo"))
    sealing = f"{shlex.quote(str(PROGRAM))} seal"
    assert place.shell(f"{made_up.replace(f'{PROGRAM} seal', sealing)} --print").out.startswith(
        "-----BEGIN AGE"
    )
    assert "waiting_auth" in place.run("status", "acme-widgets", "--sandbox").out
    assert "a-token" not in place.run("seal", "acme-widgets", "--sandbox", "--print", stdin=TOKENS).out
    refused = place.run("seal", "acme-widgets", "--sandbox", stdin="{}")
    assert refused.code == 2
    assert "accessToken" in refused.err
    assert place.run("seal", "nobody", "--sandbox", stdin=TOKENS).code == 2
    assert place.run("seal", "acme-gears", "--sandbox", stdin=TOKENS).code == 2


def test_status_for_people_and_machines(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    table = place.run("status", "--sandbox")
    assert table.code == 0
    assert "1 completed, 1 waiting_auth" in table.out
    everyone = json.loads(place.run("status", "--sandbox", "--format", "json").out)
    assert {each["slug"]: each["status"] for each in everyone} == {
        "acme-gears": "completed",
        "acme-widgets": "waiting_auth",
    }
    one = json.loads(place.run("status", "acme-gears", "--sandbox", "--format", "json").out)
    assert one["resources"]["oauth"]["state"] == "skipped"
    full = place.run("status", "acme-gears", "--sandbox").out
    assert re.search(r"^oauth +skipped .*skipAuth is set", full, re.MULTILINE)
    assert place.run("status", "nobody", "--sandbox").code == 2


def test_a_status_file_that_cannot_be_read_is_not_passed_over(place: Place) -> None:
    files = {
        "projects/widgets.yaml": WIDGETS,
        "projects/gears.yaml": GEARS,
        "status/project/acme-widgets.yaml": "a: [\n",
    }
    for name, text in files.items():
        (place.path / "config" / name).parent.mkdir(parents=True, exist_ok=True)
        (place.path / "config" / name).write_text(text)
    place.shell("cd config; git init -qb main; git add -A; git -c user.name=a -c user.email=a@b commit -qm a")
    repository = {"CONFIG_REPOSITORY": str(place.path / "config")}
    everyone = place.run("status", **repository)
    assert re.search(r"^acme-gears +project +pending", everyone.out, re.MULTILINE)
    assert re.search(
        r"^acme-widgets +project +failed .*status/project/acme-widgets.yaml:1:", everyone.out, re.MULTILINE
    )
    assert len(re.findall(r"^error: ", everyone.out, re.MULTILINE)) == 1
    one = place.run("status", "acme-widgets", "--format", "json", **repository)
    assert json.loads(one.out)["status"] == "failed"
    assert (everyone.code, one.code) == (1, 1)
    assert place.run("status", "acme-gears", **repository).code == 0


def test_status_watched_ends_quietly(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    with subprocess.Popen(
        [str(PROGRAM), "status", "--watch", "--sandbox"],
        cwd=place.path,
        env=place.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout is not None
        assert "acme-gears" in process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_pass_for_machines(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    ran = place.run("--once", "--sandbox", "--format", "json")
    document = json.loads(ran.out)
    assert ran.code == 0
    assert document["broken"] == []
    assert {(each["kind"], each["slug"]) for each in document["items"]} == {
        ("project", "acme-gears"),
        ("project", "acme-widgets"),
    }
    assert document["summary"].endswith("0 changes, 0 commits")


def test_colour_at_a_terminal_unless_refused(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    coloured = place.at_a_terminal("status", "--sandbox")
    plain = place.at_a_terminal("status", "--sandbox", NO_COLOR="1")
    for shown in (coloured, plain):
        assert "waiting_auth" in shown
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)


def test_the_sandbox_can_be_reached_from_a_shell(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    program = shlex.quote(str(PROGRAM))
    ran = place.shell(
        f'eval "$({program} sandbox env)"; : "$VAULT_ADDR" "$GITHUB_TOKEN" "$DATABASE_URL" "$OAUTH_ISSUER";'
        ' git ls-remote "$CONFIG_REPOSITORY" main; git ls-remote "$MANIFESTS_REPOSITORY" main'
    )
    assert ran.code == 0
    assert ran.out.count("refs/heads/main") == 2


def test_a_plan_shows_what_a_pass_would_do(place: Place) -> None:
    projects = place.path / "projects"
    projects.mkdir()
    place.run("sandbox", "up")
    try:
        quiet = place.run("plan", "--sandbox", "--detailed-exitcode")
        assert quiet.code == 0
        assert "No changes" in quiet.out
        (projects / "widgets.yaml").write_text(WIDGETS)
        foreseen = place.run("plan", "--sandbox", "--detailed-exitcode")
        assert "planned as if merged: projects/widgets.yaml" in foreseen.err
        assert foreseen.code == 10
        assert "create the project board" in foreseen.out
        assert "widgets" not in place.run("status", "--sandbox").out

        push(place, {"projects/pumps.yaml": "repoOwner: acme\nrepoName: pumps\n"})
        ran = place.run("plan", "--sandbox", "--detailed-exitcode", "--format", "json")
        assert ran.code == 1  # nobody has made that repository on GitHub
        plan = json.loads(ran.out)
        assert {(each["kind"], each["slug"]) for each in plan["changes"]} == {("project", "acme-widgets")}
        assert {(each["kind"], each["slug"], each["resource"]) for each in plan["troubles"]} == {
            ("project", "acme-pumps", "validate-repo")
        }

        push(place, {"projects/bolts.yaml": BROKEN})
        for form in ("text", "json", "markdown"):
            ran = place.run("plan", "--sandbox", "--format", form)
            assert ran.code == 1
            assert "projects/bolts.yaml" in ran.out
            assert "acme-pumps" in ran.out

        assert place.run("--once", "--sandbox").code == 1
        (projects / "widgets.yaml").write_text(WIDGETS + "displayName: Other\n")
        push(place, {}, "projects/bolts.yaml", "projects/pumps.yaml")
        detailed = place.run("plan", "acme-widgets", "--sandbox", "--detailed-exitcode")
        assert detailed.code == 10
        assert "Nothing was written" in detailed.out
        assert place.run("plan", "nobody", "--sandbox").code == 2
        assert "offboarding" in place.run("--once", "--sandbox").out
    finally:
        place.run("sandbox", "down")


def test_a_plan_for_a_pull_request_reads_its_files_and_pushes_none(demo: tuple[Place, Ran]) -> None:
    place, _ = demo
    (place.path / "request").mkdir()
    (place.path / "request" / "gears.yaml").write_text(GEARS + "displayName: Cogs\n")
    (place.path / "request" / "link.yaml").symlink_to("gears.yaml")
    program = shlex.quote(str(PROGRAM))
    ask = f'eval "$({program} sandbox env)"; git ls-remote "$CONFIG_REPOSITORY" main'
    before = place.shell(ask).out
    planning = f"{program} plan --config .sandbox/reconciler.yaml --projects request --format json"
    ran = place.shell(f"{ask} >&2; {planning} || echo $? >&2")
    plan = json.loads(ran.out)
    assert "link.yaml: is a link" in ran.err
    assert ran.err.endswith("\n1\n")
    assert {(each["kind"], each["slug"]) for each in plan["changes"]} == {("project", "acme-gears")}
    assert any("Cogs" in json.dumps(each["after"]) for each in plan["changes"])
    assert place.shell(ask).out == before


def push(place: Place, files: dict[str, str], *removed: str) -> None:
    """Change the sandbox's config repository as anybody's merged pull request would."""
    clone = place.path / "clone"
    program = shlex.quote(str(PROGRAM))
    if not clone.exists():
        place.shell(f'eval "$({program} sandbox env)"; git clone -q "$CONFIG_REPOSITORY" clone')
    place.shell("git -C clone pull -q --rebase")
    for name, text in files.items():
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).write_text(text)
    for name in removed:
        (clone / name).unlink()
    identity = "-c user.name=someone -c user.email=someone@example.org"
    script = f"cd clone; git add -A; git {identity} commit -qm change; git push -q"
    assert place.shell(script).code == 0
