"""The Vault client against a real server: what is there afterwards, and which error says why not."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import hvac
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from reconciler.clients.vault import Vault, VaultSettings, VaultWriter
from reconciler.model.errors import Collision, ConfigurationError, Denied, Rejected, Unavailable
from reconciler.settings.giving import Sections
from tests.integration.conftest import VaultCorner
from tests.support import servers
from tests.support.serve import serve

PATH = "mesh-six/webhooks/acme-widgets"
MARK = {"managed-by": "us"}


def secret(text: str) -> dict[str, SecretStr]:
    return {"secret": SecretStr(text)}


@pytest.fixture
def writer(vault: VaultCorner) -> VaultWriter:
    return VaultWriter.connect(vault.sections())


def test_absent_is_empty_and_none(writer: VaultWriter) -> None:
    assert writer.names("mesh-six/webhooks") == frozenset()
    assert writer.read(PATH) is None
    assert writer.metadata(PATH) is None


def test_written_secret_is_read_back(writer: VaultWriter) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    assert writer.write(PATH, secret("s3cret"), cas=0, metadata=MARK) == 1
    found = writer.read(PATH)
    assert found is not None
    assert found.data["secret"].get_secret_value() == "s3cret"
    assert (found.version, found.metadata) == (1, MARK)
    assert before < found.created < datetime.now(UTC) + timedelta(seconds=5)
    assert writer.names("mesh-six/webhooks") == {"acme-widgets"}
    assert "s3cret" not in repr(found)


def test_names_with_dots_and_folders_beside_them(writer: VaultWriter) -> None:
    writer.write("mesh-six/envs/a.llm-key", secret("x"), cas=0, metadata=MARK)
    writer.write("mesh-six/envs/a.git-access", secret("x"), cas=0, metadata=MARK)
    writer.write("mesh-six/envs/a/deeper", secret("x"), cas=0, metadata=MARK)
    assert writer.names("mesh-six/envs") == {"a.llm-key", "a.git-access"}


def test_a_reader_remembers_its_listing_for_the_pass(vault: VaultCorner, writer: VaultWriter) -> None:
    reader = Vault.connect(vault.sections())
    assert reader.names("mesh-six/webhooks") == frozenset()
    writer.write(PATH, secret("x"), cas=0, metadata=MARK)
    assert reader.names("mesh-six/webhooks") == frozenset()
    assert writer.names("mesh-six/webhooks") == {"acme-widgets"}


def test_nothing_is_written_over_somebody_elses_secret(writer: VaultWriter) -> None:
    writer.write(PATH, secret("theirs"), cas=0, metadata={"owner": "them"})
    with pytest.raises(Collision):
        writer.write(PATH, secret("ours"), cas=0, metadata=MARK)
    found = writer.read(PATH)
    assert found is not None
    assert found.data["secret"].get_secret_value() == "theirs"
    assert found.metadata == {"owner": "them"}


def test_the_wrong_version_is_a_collision(writer: VaultWriter) -> None:
    writer.write(PATH, secret("one"), cas=0, metadata=MARK)
    assert writer.write(PATH, secret("two"), cas=1, metadata=MARK) == 2
    with pytest.raises(Collision):
        writer.write(PATH, secret("three"), cas=1, metadata=MARK)


def test_of_many_writers_at_once_one_wins(vault: VaultCorner) -> None:
    wins: list[str] = []
    start = threading.Barrier(6)

    def write(name: str) -> None:
        client = VaultWriter.connect(vault.sections())
        start.wait()
        try:
            client.write(PATH, secret(name), cas=0, metadata=MARK)
            wins.append(name)
        except Collision:
            pass
        finally:
            client.close()

    threads = [threading.Thread(target=write, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = VaultWriter.connect(vault.sections()).read(PATH)
    assert found is not None
    assert [found.data["secret"].get_secret_value()] == wins
    assert found.version == 1


def test_a_soft_deleted_secret_counts_as_nothing(vault: VaultCorner, writer: VaultWriter) -> None:
    writer.write(PATH, secret("old"), cas=0, metadata=MARK)
    vault.root.secrets.kv.v2.delete_latest_version_of_secret(PATH, mount_point=vault.mount)
    assert writer.read(PATH) is None
    assert writer.write(PATH, secret("new"), cas=0, metadata=MARK) == 2


def test_a_destroyed_secret_counts_as_nothing(vault: VaultCorner, writer: VaultWriter) -> None:
    writer.write(PATH, secret("old"), cas=0, metadata=MARK)
    vault.root.secrets.kv.v2.destroy_secret_versions(PATH, versions=[1], mount_point=vault.mount)
    assert writer.read(PATH) is None
    assert writer.write(PATH, secret("new"), cas=0, metadata=MARK) == 2


def test_killed_between_mark_and_data_the_next_write_converges(writer: VaultWriter) -> None:
    writer.annotate(PATH, MARK)
    assert writer.read(PATH) is None
    assert writer.names("mesh-six/webhooks") == {"acme-widgets"}
    assert writer.write(PATH, secret("x"), cas=0, metadata=MARK) == 1


def test_annotate_keeps_what_others_wrote_and_set(vault: VaultCorner, writer: VaultWriter) -> None:
    writer.write(PATH, secret("x"), cas=0, metadata={"theirs": "kept", "changed": "before"})
    vault.root.secrets.kv.v2.update_metadata(
        PATH,
        delete_version_after="24h",
        custom_metadata={"theirs": "kept", "changed": "before"},
        mount_point=vault.mount,
    )
    writer.annotate(PATH, {"changed": "after"})
    found = writer.metadata(PATH)
    assert found is not None
    assert found.metadata == {"theirs": "kept", "changed": "after"}
    assert timedelta(hours=24) == duration(found.delete_version_after)
    assert found.version == 1


def duration(text: str) -> timedelta:
    hours, _, rest = text.partition("h")
    assert rest.strip("0ms") == ""
    return timedelta(hours=int(hours))


def test_delete_leaves_nothing_and_may_be_repeated(writer: VaultWriter) -> None:
    writer.write(PATH, secret("x"), cas=0, metadata=MARK)
    writer.delete(PATH)
    writer.delete(PATH)
    assert writer.metadata(PATH) is None
    assert writer.names("mesh-six/webhooks") == frozenset()


def test_a_wrong_token_is_denied(vault: VaultCorner) -> None:
    client = Vault.connect(vault.sections(token="s.wrong"))
    for read in (client.names, client.read, client.metadata):
        with pytest.raises(Denied) as caught:
            read(PATH)
        assert "s.wrong" not in str(caught.value)


def test_a_token_that_may_only_list(vault: VaultCorner) -> None:
    token = vault.token('path "MOUNT/metadata/mesh-six/*" { capabilities = ["list"] }')
    VaultWriter.connect(vault.sections()).write(PATH, secret("x"), cas=0, metadata=MARK)
    limited = VaultWriter.connect(vault.sections(token=token))
    assert limited.names("mesh-six/webhooks") == {"acme-widgets"}
    with pytest.raises(Denied):
        limited.read(PATH)
    with pytest.raises(Denied):
        limited.write(PATH, secret("y"), cas=1, metadata=MARK)


def test_a_token_that_may_not_write_leaves_no_mark(vault: VaultCorner) -> None:
    token = vault.token('path "MOUNT/*" { capabilities = ["read", "list"] }')
    limited = VaultWriter.connect(vault.sections(token=token))
    with pytest.raises(Denied):
        limited.write(PATH, secret("y"), cas=0, metadata=MARK)
    assert limited.metadata(PATH) is None


def test_a_mount_that_is_not_there_is_not_empty(vault: VaultCorner) -> None:
    client = Vault.connect(vault.sections(mount="nowhere"))
    for read in (client.names, client.read, client.metadata):
        with pytest.raises(Rejected, match=r"vault\.mount"):
            read(PATH)


def test_a_version_one_mount_is_refused_with_the_setting_to_look_at(vault: VaultCorner) -> None:
    vault.root.sys.enable_secrets_engine("kv", path=f"{vault.mount}-old", options={"version": "1"})
    client = VaultWriter.connect(vault.sections(mount=f"{vault.mount}-old"))
    with pytest.raises(Rejected, match="KV version 2"):
        client.write(PATH, secret("x"), cas=0, metadata=MARK)


@pytest.mark.parametrize("options", [{"version": "1"}, None], ids=["said so", "by default"])
def test_on_a_version_one_mount_nothing_is_absent(vault: VaultCorner, options: dict[str, str] | None) -> None:
    mount = f"{vault.mount}-old"
    vault.root.sys.enable_secrets_engine("kv", path=mount, options=options)
    vault.root.secrets.kv.v1.create_or_update_secret(PATH, {"key": "x"}, mount_point=mount)
    for read in (Vault.names, Vault.read, Vault.metadata):
        client = Vault.connect(vault.sections(mount=mount))
        with pytest.raises(Rejected, match="KV version 1"):
            read(client, PATH)
        client.close()


def test_absence_is_believed_after_one_question(vault: VaultCorner) -> None:
    token = vault.token('path "MOUNT/metadata/mesh-six/*" { capabilities = ["list", "read"] }')
    limited = Vault.connect(vault.sections(token=token))
    with capture_logs() as logs:
        assert limited.names("mesh-six/webhooks") == frozenset()
        assert limited.names("mesh-six/envs") == frozenset()
    assert sum("internal/ui/mounts" in each.get("request", "") for each in logs) == 1


def approle(vault: VaultCorner) -> tuple[str, str]:
    """Return a role's id and a secret for it."""
    auth = vault.root.sys.list_auth_methods()
    if "approle/" not in auth:
        vault.root.sys.enable_auth_method("approle")
    policy = f'path "{vault.mount}/*" {{ capabilities = ["create", "read", "update", "list"] }}'
    vault.root.sys.create_or_update_policy(vault.mount, policy)
    vault.root.auth.approle.create_or_update_approle(vault.mount, token_policies=[vault.mount])
    role = vault.root.auth.approle.read_role_id(vault.mount)["data"]["role_id"]
    return role, vault.root.auth.approle.generate_secret_id(vault.mount)["data"]["secret_id"]


def live_tokens(vault: VaultCorner) -> set[str]:
    return set(vault.root.list("auth/token/accessors")["data"]["keys"])


def test_approle_logs_in_once(vault: VaultCorner) -> None:
    role, once = approle(vault)
    client = VaultWriter.connect(vault.sections(token=None, roleId=role, secretId=once))
    assert client.write(PATH, secret("x"), cas=0, metadata=MARK) == 1
    assert client.names("mesh-six/webhooks") == {"acme-widgets"}

    wrong = Vault.connect(vault.sections(token=None, roleId=role, secretId="wrong-secret-id"))
    with pytest.raises(Denied) as caught:
        wrong.names("mesh-six/webhooks")
    assert "wrong-secret-id" not in str(caught.value)


def test_a_login_ends_with_its_client(vault: VaultCorner) -> None:
    role, once = approle(vault)
    before = live_tokens(vault)
    client = Vault.connect(vault.sections(token=None, roleId=role, secretId=once))
    client.names("mesh-six/webhooks")
    assert len(live_tokens(vault) - before) == 1
    client.close()
    assert live_tokens(vault) == before


def test_a_login_that_cannot_be_ended_is_nobodys_trouble(vault: VaultCorner) -> None:
    role, once = approle(vault)
    client = Vault.connect(vault.sections(token=None, roleId=role, secretId=once))
    before = live_tokens(vault)
    client.names("mesh-six/webhooks")
    (accessor,) = live_tokens(vault) - before
    vault.root.auth.token.revoke_accessor(accessor)
    client.close()


def test_a_given_token_outlives_its_client(vault: VaultCorner) -> None:
    token = vault.token(
        'path "MOUNT/*" { capabilities = ["list"] }\npath "auth/*" { capabilities = ["update"] }'
    )
    for _ in range(2):
        client = Vault.connect(vault.sections(token=token))
        assert client.names("mesh-six/webhooks") == frozenset()
        client.close()


def test_kubernetes_login_outside_a_pod_says_what_is_missing(vault: VaultCorner) -> None:
    client = Vault.connect(vault.sections(token=None, kubernetesRole="reconciler"))
    with pytest.raises(ConfigurationError, match="kubernetesTokenFile"):
        client.names("mesh-six/webhooks")


def test_a_sealed_vault_is_unavailable() -> None:
    with servers.vault() as address:
        corner = VaultCorner(address, "secret", None)
        writer = VaultWriter.connect(corner.sections())
        writer.write(PATH, secret("x"), cas=0, metadata=MARK)

        root = hvac.Client(url=address, token=servers.ROOT_TOKEN)
        root.sys.seal()
        root.adapter.close()
        with pytest.raises(Unavailable, match="sealed"):
            writer.read(PATH)
        writer.close()


def test_a_vault_that_is_down_is_unavailable_soon() -> None:
    corner = VaultCorner(f"http://127.0.0.1:{servers.free_port()}", "secret", None)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        Vault.connect(corner.sections()).names("mesh-six/webhooks")
    assert time.monotonic() - started < 10


def test_the_environment_of_this_process_is_not_looked_at(
    vault: VaultCorner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s.from-the-environment")
    monkeypatch.setenv("VAULT_NAMESPACE", "nowhere")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert Vault.connect(vault.sections()).names("mesh-six/webhooks") == frozenset()


def test_an_address_without_credentials_is_half_set_up() -> None:

    half = VaultSettings.load({"address": "http://127.0.0.1:1"}, {})
    assert half.missing() is None
    with pytest.raises(ConfigurationError, match="log in"):
        half.check()
    assert VaultSettings.load({}, {}).missing() == "vault.address (VAULT_ADDR)"


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (502, "<html>wr0ng-secret</html>", Unavailable),
        (504, "", Unavailable),
        (404, "<html>wr0ng-secret</html>", Rejected),
        (200, '{"data": wr0ng-secret', Rejected),
        (200, "[]", Rejected),
        (200, '{"data": {"data": {"a": "wr0ng-secret"}, "metadata": {}}}', Rejected),
        (307, "", Rejected),
        (400, '{"errors": ["wr0ng-secret"]}', Rejected),
    ],
)
def test_answers_that_make_no_sense_are_not_absence(status: int, body: str, fault: type[Exception]) -> None:
    def answer(request: Request) -> Response:
        return Response(
            body, status, media_type="application/json", headers={"location": "http://127.0.0.1:1/"}
        )

    with serve(Starlette(routes=[Route("/{path:path}", answer)])) as url:
        client = Vault.connect(VaultCorner(url, "secret", None).sections())
        with pytest.raises(fault) as caught:
            client.read(PATH)
        client.close()
    assert "wr0ng-secret" not in str(caught.value)


@pytest.mark.parametrize("body", ["<html>welcome</html>", "{}", ""])
def test_a_mark_that_was_not_confirmed_is_followed_by_no_secret(body: str) -> None:
    posted: list[str] = []

    def answer(request: Request) -> Response:
        if request.method in {"POST", "PUT"}:
            posted.append(request.url.path)
            return Response(body, 200)
        if request.url.path == "/v1/sys/internal/ui/mounts/secret":
            return JSONResponse({"data": {"type": "kv", "options": {"version": "2"}}})
        return Response('{"errors": []}', 404, media_type="application/json")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "LIST"])])
    with serve(app) as address:
        client = VaultWriter.connect(Sections({"vault": {"address": address, "token": "t"}}, {}))
        with pytest.raises(Rejected, match="sense"):
            client.write(PATH, secret("x"), cas=0, metadata=MARK)
    assert posted == [f"/v1/secret/metadata/{PATH}"]
