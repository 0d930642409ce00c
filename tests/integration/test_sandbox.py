"""The sandbox as a whole: it survives, keeps to itself, can be emptied, and plain programs can use it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import hvac
import psutil
import psycopg
import pytest
import urllib3
from minio import Minio, S3Error

from reconciler.model.errors import UnsafeError
from reconciler.sandbox import ports
from reconciler.sandbox.layout import Layout, SandboxState
from reconciler.sandbox.servers.s3 import BUCKET
from reconciler.sandbox.supervisor import Sandbox
from tests.support.declared import SYSTEM_OF, SYSTEMS


@pytest.fixture
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="mesh-six-sandbox-"))
    yield directory / ".sandbox"
    Sandbox(directory / ".sandbox").down()
    shutil.rmtree(directory)


def vault(sandbox: Sandbox) -> hvac.Client:
    environment = sandbox.environment()
    return hvac.Client(environment["VAULT_ADDR"], environment["VAULT_TOKEN"])


def s3(sandbox: Sandbox) -> Minio:
    environment = sandbox.environment()
    url = urlsplit(environment["MINIO_ENDPOINT"])
    keys = environment["MINIO_ACCESS_KEY"], environment["MINIO_SECRET_KEY"]
    return Minio(url.netloc, *keys, secure=False, region="us-east-1")


def database(sandbox: Sandbox) -> psycopg.Connection:
    return psycopg.connect(sandbox.environment()["DATABASE_URL"], autocommit=True)


def leave_traces(sandbox: Sandbox) -> None:
    client = vault(sandbox)
    client.secrets.kv.v2.create_or_update_secret("mesh-six/webhooks/acme", {"secret": "s3cr3t"}, cas=0)
    client.secrets.kv.v2.update_metadata("mesh-six/envs/acme.llm-key", custom_metadata={"project": "acme"})
    s3(sandbox).put_object(BUCKET, "acme/widgets/", BytesIO(b""), 0)
    s3(sandbox).put_object(BUCKET, "acme/widgets/one two+three.txt", BytesIO(b"x"), 1)
    with database(sandbox) as connection:
        connection.execute(
            "INSERT INTO repo_registry (service_name, repo_url, platform, cicd_type, trigger_method)"
            " VALUES ('acme', 'https://github.com/acme/widgets', 'github', 'x', 'y')"
        )
        connection.execute("CREATE TABLE extra (id int)")


def traces(sandbox: Sandbox) -> set[str]:
    found = set()
    for folder in ("webhooks", "envs"):
        try:
            listed = vault(sandbox).secrets.kv.v2.list_secrets(f"mesh-six/{folder}")
        except hvac.exceptions.InvalidPath:
            continue
        found |= {f"vault {key}" for key in listed["data"]["keys"]}
    found |= {f"s3 {item.object_name}" for item in s3(sandbox).list_objects(BUCKET, recursive=True)}
    with database(sandbox) as connection:
        rows = connection.execute(
            "SELECT service_name FROM repo_registry WHERE repo_url LIKE '%/acme/%'"
        ).fetchall()
        found |= {f"row {row[0]}" for row in rows}
        if connection.execute("SELECT to_regclass('extra')").fetchone() != (None,):
            found.add("table extra")
    return found


ALL = {
    "vault acme", "vault acme.llm-key", "s3 acme/widgets/", "s3 acme/widgets/one two+three.txt", "row acme",
    "table extra",
}  # fmt: skip


def processes(sandbox: Sandbox) -> dict[str, psutil.Process]:
    state = SandboxState.load(Layout(sandbox.directory))
    assert state is not None
    return {name: found for name, one in state.processes.items() if (found := one.find())}


def test_everything_survives_down_and_up_again(place: Path) -> None:
    sandbox = Sandbox(place)
    lines: list[str] = []
    sandbox.up(lines.append)
    environment = sandbox.environment()
    assert any("OpenBao is up" in line for line in lines)
    leave_traces(sandbox)
    number = sandbox.mark()
    running = processes(sandbox)
    assert set(running) == {"gateway", *(name for name, each in SYSTEMS.items() if each.server)}

    sandbox.down()
    assert not [process for process in running.values() if process.is_running()]

    again = Sandbox(place)
    again.up()
    assert again.environment() == environment
    assert traces(again) == ALL
    assert again.requests(number)[0].number == number + 1


def test_a_second_up_changes_nothing(clean_sandbox: Sandbox) -> None:
    before = {name: process.pid for name, process in processes(clean_sandbox).items()}
    lines: list[str] = []
    Sandbox(clean_sandbox.directory).up(lines.append)
    assert {name: process.pid for name, process in processes(clean_sandbox).items()} == before
    assert lines == []


def test_settings_are_kept_until_others_are_given(place: Path) -> None:
    sandbox = Sandbox(place)
    sandbox.up(settings={"webhook": {"url": "https://hooks.example/github"}})
    Sandbox(place).up()
    assert "hooks.example" in sandbox.configuration_file().read_text()
    Sandbox(place).up(settings={})
    assert "hooks.example" not in sandbox.configuration_file().read_text()


def test_up_restarts_only_what_died(clean_sandbox: Sandbox) -> None:
    leave_traces(clean_sandbox)
    before = processes(clean_sandbox)
    for name in ("vault", "postgres"):
        before[name].kill()
        before[name].wait()
    clean_sandbox.up()
    after = processes(clean_sandbox)
    assert {name for name in after if after[name].pid == before[name].pid} == {"gateway", "s3"}
    assert traces(clean_sandbox) == ALL


def test_two_sandboxes_at_once_share_nothing(clean_sandbox: Sandbox, place: Path) -> None:
    other = Sandbox(place)
    other.up()
    leave_traces(other)
    assert traces(clean_sandbox) == set()
    leave_traces(clean_sandbox)
    mine, theirs = clean_sandbox.environment(), other.environment()
    assert {name for name in mine if mine[name] == theirs[name]} == {"OAUTH_CLIENT_ID"}
    running = processes(clean_sandbox)

    other.reset()

    assert traces(clean_sandbox) == ALL
    assert processes(clean_sandbox) == running
    assert [path.name for path in place.iterdir()] == ["lock"]


def test_two_ups_at_once_start_one_of_each(place: Path) -> None:
    starters = [threading.Thread(target=Sandbox(place).up) for _ in range(2)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    mine = [
        process
        for process in psutil.process_iter()
        if process.status() != psutil.STATUS_ZOMBIE and any(str(place) in word for word in process.cmdline())
    ]
    assert len(mine) == len(processes(Sandbox(place))) == 4


def test_clear_gives_a_fresh_sandbox_back(clean_sandbox: Sandbox, tmp_path: Path) -> None:
    heads = {name: head(clean_sandbox, name) for name in ("CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY")}
    leave_traces(clean_sandbox)
    (tmp_path / "acme.yaml").write_text("repoOwner: acme\nrepoName: widgets\n")
    clean_sandbox.merge_projects(tmp_path)
    s3(clean_sandbox).make_bucket("another")
    assert traces(clean_sandbox) == ALL
    lock = database(clean_sandbox)
    lock.execute("SELECT pg_advisory_lock(1)")
    lock.execute("BEGIN")
    lock.execute("LOCK TABLE repo_registry")

    clean_sandbox.clear()

    assert traces(clean_sandbox) == set()
    assert {name: head(clean_sandbox, name) for name in heads} == heads
    assert [bucket.name for bucket in s3(clean_sandbox).list_buckets()] == [BUCKET]
    with database(clean_sandbox) as connection:
        assert connection.execute("SELECT pg_try_advisory_lock(1)").fetchone() == (True,)
    lock.close()


def head(sandbox: Sandbox, name: str) -> str:
    return git("rev-parse", "main", cwd=Path(sandbox.environment()[name]))


def git(*words: str, cwd: Path) -> str:
    bare = {"PATH": os.environ["PATH"], "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull}
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", *identity, *words], cwd=cwd, env=bare, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY"])
def test_plain_git_clones_and_pushes(clean_sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    git("clone", "-q", clean_sandbox.environment()[name], "clone", cwd=tmp_path)
    (tmp_path / "clone" / "new").write_text("text")
    git("add", "new", cwd=tmp_path / "clone")
    git("commit", "-q", "-m", "new", cwd=tmp_path / "clone")
    git("push", "-q", cwd=tmp_path / "clone")
    assert head(clean_sandbox, name) == git("rev-parse", "HEAD", cwd=tmp_path / "clone")


def test_the_environment_has_a_value_for_every_name_that_is_declared(clean_sandbox: Sandbox) -> None:
    environment = clean_sandbox.environment()
    assert set(environment) >= {*SYSTEM_OF, "CONFIG_REPOSITORY", "MANIFESTS_REPOSITORY"}
    assert all(environment.values())
    assert all("'" not in value and "\n" not in value for value in environment.values())


def test_secrets_are_nowhere_but_in_private_files(clean_sandbox: Sandbox) -> None:
    leave_traces(clean_sandbox)
    environment = clean_sandbox.environment()
    secrets = [
        value.encode() for name, value in environment.items() if name.endswith(("TOKEN", "KEY", "IDENTITY"))
    ]
    secrets.append((urlsplit(environment["DATABASE_URL"]).password or "").encode())
    for path in clean_sandbox.directory.rglob("*"):
        if path.is_file() and path.suffix in {".json", ".yaml", ".jsonl", ".log", ".hcl"}:
            private = path.stat().st_mode & 0o077 == 0
            assert private or not any(secret in path.read_bytes() for secret in secrets), path
    assert not any(
        secret.decode() in " ".join(process.cmdline())
        for process in processes(clean_sandbox).values()
        for secret in secrets
    )


def test_wrong_credentials_are_refused(clean_sandbox: Sandbox) -> None:
    environment = clean_sandbox.environment()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(environment["DATABASE_URL"].replace("mesh_six:", "mesh_six:not"))
    with pytest.raises(hvac.exceptions.Forbidden):
        hvac.Client(environment["VAULT_ADDR"], "s.wrong").secrets.kv.v2.list_secrets("mesh-six")
    endpoint = urlsplit(environment["MINIO_ENDPOINT"]).netloc
    wrong = Minio(endpoint, environment["MINIO_ACCESS_KEY"], "wrong", secure=False, region="us-east-1")
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        list(wrong.list_objects(BUCKET))


def test_a_presigned_url_works_through_the_gateway(clean_sandbox: Sandbox) -> None:
    s3(clean_sandbox).put_object(BUCKET, "a b/ü+%.txt", BytesIO(b"content"), 7)
    url = s3(clean_sandbox).presigned_get_object(BUCKET, "a b/ü+%.txt")
    assert urllib3.request("GET", url).data == b"content"


def test_a_port_that_a_stranger_took_is_replaced(place: Path) -> None:
    sandbox = Sandbox(place)
    sandbox.up()
    leave_traces(sandbox)
    before = SandboxState.load(Layout(place))
    sandbox.down()
    assert before is not None
    names = ("vault-server", "vault-cluster", "postgres-server", "s3-filer", "github", "control")
    strangers = [socket.create_server(("127.0.0.1", before.ports[name])) for name in names]
    try:
        sandbox.up()
        after = SandboxState.load(Layout(place))
        assert after is not None
        assert {name for name in after.ports if after.ports[name] != before.ports[name]} == set(names)
        assert traces(sandbox) == ALL
    finally:
        for stranger in strangers:
            stranger.close()


def test_down_spares_a_process_that_got_the_number_of_one_of_ours(place: Path) -> None:
    sandbox = Sandbox(place)
    sandbox.up()
    state = SandboxState.load(Layout(place))
    assert state is not None
    real = state.processes["s3"]
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        state.processes["s3"] = type(real)(stranger.pid, real.started - 100)
        state.save(Layout(place))
        sandbox.down()
        assert stranger.poll() is None
        assert real.find() is not None
    finally:
        stranger.kill()
        stranger.wait()
        state.processes = {"s3": real}
        state.save(Layout(place))


def test_a_copied_sandbox_leaves_the_original_alone(clean_sandbox: Sandbox, place: Path) -> None:
    shutil.copytree(
        clean_sandbox.directory, place, ignore=shutil.ignore_patterns("postgres", "openbao", "seaweedfs")
    )
    before = processes(clean_sandbox)
    Sandbox(place).down()
    assert processes(clean_sandbox) == before


def test_reset_refuses_a_folder_that_is_no_sandbox(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    for act in (Sandbox(tmp_path).reset, Sandbox(tmp_path).up):
        with pytest.raises(UnsafeError):
            act()
    Sandbox(tmp_path).down()
    (tmp_path / "state.json").write_text('{"kind": "another program"}')
    with pytest.raises(UnsafeError):
        Sandbox(tmp_path).reset()
    with pytest.raises(UnsafeError):
        Sandbox(tmp_path).up()
    assert {path.name for path in tmp_path.iterdir()} == {"precious", "state.json"}


def test_what_is_not_there_can_be_stopped_and_reset_again_and_again(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / ".sandbox")
    for _ in range(2):
        sandbox.down()
        sandbox.reset()
    (tmp_path / ".sandbox").mkdir()
    (tmp_path / ".sandbox" / "lock").touch()
    sandbox.reset()
    assert [path.name for path in (tmp_path / ".sandbox").iterdir()] == ["lock"]


def test_ports_are_free_and_below_those_for_outgoing_connections() -> None:
    taken: set[int] = set()
    for _ in range(10):
        taken.add(ports.choose(taken, twin_offset=10_000))
    assert len(taken) == 10
    assert max(taken) + 10_000 < 32_768
