"""The gateway: whatever a client sends is logged for what it did, and fails exactly as it is told to."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import hvac
import psycopg
import pytest
import urllib3
from minio import Minio
from minio.error import MinioException

from reconciler.clients.http import trusted
from reconciler.model.errors import Rejected
from reconciler.sandbox.faults import Fault, Kind
from reconciler.sandbox.servers.s3 import BUCKET
from reconciler.sandbox.supervisor import Sandbox


class Client(ABC):
    """Writes one thing to a system and looks whether it is there."""

    system: str
    match: str
    errors: tuple[type[Exception], ...]

    def __init__(self, environment: dict[str, str], timeout: float = 5.0) -> None:
        self.environment = environment
        self.timeout = timeout

    @abstractmethod
    def write(self) -> None:
        """Raise one of `errors` when the answer is not as it should be."""

    @abstractmethod
    def is_written(self) -> bool: ...


class Http(Client):
    url: str
    token: tuple[str, str]
    errors = (httpx.HTTPError, ValueError)

    def send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        name, value = self.token
        headers = {name: value}
        options: Any = {"headers": headers, "timeout": self.timeout, "verify": trusted()}
        with httpx.Client(base_url=self.url, **options) as client:
            return client.request(method, path, json=body)


class VaultClient(Http):
    system, match = "vault", "^(PUT|POST) /v1/secret/data"

    def __init__(self, environment: dict[str, str], timeout: float = 5.0) -> None:
        super().__init__(environment, timeout)
        self.url, self.token = environment["VAULT_ADDR"], ("x-vault-token", environment["VAULT_TOKEN"])

    def write(self) -> None:
        self.send("PUT", "/v1/secret/data/mesh-six/a", {"data": {"a": "b"}}).raise_for_status().json()

    def is_written(self) -> bool:
        return self.send("GET", "/v1/secret/data/mesh-six/a").status_code == 200


class AuthServiceClient(Http):
    system, match = "auth-service", "^POST /projects"

    def __init__(self, environment: dict[str, str], timeout: float = 5.0) -> None:
        super().__init__(environment, timeout)
        self.url = environment["AUTH_SERVICE_URL"]
        self.token = ("authorization", f"Bearer {environment['AUTH_SERVICE_TOKEN']}")

    def write(self) -> None:
        self.send("POST", "/projects", {"id": "acme", "displayName": "Acme"}).raise_for_status().json()

    def is_written(self) -> bool:
        return self.send("GET", "/projects/acme").status_code == 200


class S3Client(Client):
    system, match = "s3", "^PUT /"
    errors = (urllib3.exceptions.HTTPError, MinioException, ValueError)

    def client(self) -> Minio:
        keys = self.environment["MINIO_ACCESS_KEY"], self.environment["MINIO_SECRET_KEY"]
        pool = urllib3.PoolManager(timeout=self.timeout, retries=False)
        endpoint = urlsplit(self.environment["MINIO_ENDPOINT"]).netloc
        return Minio(endpoint, *keys, secure=False, region="us-east-1", http_client=pool)

    def write(self) -> None:
        # An upload's answer has no body to be malformed, but it must name the version's tag.
        if not self.client().put_object(BUCKET, "acme/widgets/", BytesIO(b""), 0).etag:
            raise ValueError("no tag")

    def is_written(self) -> bool:
        return bool(list(self.client().list_objects(BUCKET)))


INSERT = "INSERT INTO repo_registry (service_name, repo_url, platform, cicd_type, trigger_method)"


class PostgresClient(Client):
    system, match = "postgres", "^INSERT INTO repo_registry"
    errors = (psycopg.Error, TimeoutError)

    def write(self) -> None:
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            # psycopg has no read timeout of its own.
            connection.execute("SET tcp_user_timeout = 1000")
            connection.execute(
                f"{INSERT} VALUES (%s, %s, 'github', 'x', 'y')",
                ["acme", "https://github.com/acme/widgets"],
            )

    def is_written(self) -> bool:
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            found = connection.execute("SELECT 1 FROM repo_registry WHERE service_name = 'acme'").fetchone()
            return found is not None


CLIENTS: list[type[Client]] = [VaultClient, AuthServiceClient, S3Client, PostgresClient]
BEFORE: list[Kind] = ["timeout-before", "reset", "500", "502", "429", "malformed", "refuse"]
AFTER: list[Kind] = ["timeout-after", "reset-after", "500-after", "502-after", "malformed-after"]


@pytest.fixture
def mended(clean_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield clean_sandbox
    clean_sandbox.clear_faults()


@pytest.mark.parametrize("kind", [*BEFORE, *AFTER])
@pytest.mark.parametrize("make", CLIENTS)
def test_a_fault_strikes_before_or_after_the_effect(mended: Sandbox, make: type[Client], kind: Kind) -> None:
    client = make(mended.environment())
    mended.inject(Fault(client.system, kind, client.match, seconds=0.05))
    mark = mended.mark()

    with pytest.raises(client.errors):
        client.write()

    logged = [request for request in mended.requests(mark) if request.fault]
    assert [(request.system, request.fault) for request in logged] == [(client.system, kind)]
    assert logged[0].wrote is (kind in AFTER)
    assert (logged[0].status == 0) is (kind in BEFORE)
    mended.clear_faults()
    assert client.is_written() is (kind in AFTER)
    if kind in BEFORE:
        client.write()
        assert client.is_written()


@pytest.mark.parametrize("make", CLIENTS)
def test_slow_is_only_slow(mended: Sandbox, make: type[Client]) -> None:
    client = make(mended.environment())
    mended.inject(Fault(client.system, "slow", client.match, seconds=0.3))
    begun = time.monotonic()
    client.write()
    assert time.monotonic() - begun >= 0.3
    assert client.is_written()


@pytest.mark.parametrize("kind", ["timeout-before", "timeout-after"])
@pytest.mark.parametrize("make", [VaultClient, AuthServiceClient, S3Client])
def test_a_timeout_outlasts_the_client(mended: Sandbox, make: type[Client], kind: Kind) -> None:
    client = make(mended.environment(), 0.2)
    mended.inject(Fault(client.system, kind, client.match))
    with pytest.raises((httpx.ReadTimeout, urllib3.exceptions.ReadTimeoutError)):
        client.write()
    client.timeout = 5
    assert client.is_written() is (kind == "timeout-after")


@pytest.mark.parametrize("make", CLIENTS)
def test_a_system_that_is_down_stays_down_until_told_otherwise(mended: Sandbox, make: type[Client]) -> None:
    client = make(mended.environment())
    mended.inject(Fault(client.system, "refuse"))
    for _ in range(3):
        with pytest.raises(client.errors):
            client.write()
    others = [other(mended.environment()) for other in CLIENTS if other is not make]
    for other in others:
        other.write()
    mended.clear_faults()
    assert not client.is_written()
    assert all(other.is_written() for other in others)


def test_an_open_database_connection_is_cut_when_the_system_goes_down(mended: Sandbox) -> None:
    with psycopg.connect(mended.environment()["DATABASE_URL"], autocommit=True) as connection:
        mended.inject(Fault("postgres", "refuse"))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_a_commit_can_happen_and_its_answer_be_lost(mended: Sandbox) -> None:
    client = PostgresClient(mended.environment())
    mended.inject(Fault("postgres", "reset-after", "^COMMIT"))
    with (
        pytest.raises(psycopg.OperationalError),
        psycopg.connect(mended.environment()["DATABASE_URL"]) as connection,
    ):
        connection.execute(f"{INSERT} VALUES ('acme', 'a', 'b', 'c', 'd')")
    assert client.is_written()


def test_skip_and_times_pick_which_requests_fail(mended: Sandbox) -> None:
    client = VaultClient(mended.environment())
    mended.inject(Fault("*", "500", "^PUT ", skip=2, times=2))
    answers = [client.send("PUT", "/v1/secret/data/mesh-six/a", {"data": {}}).status_code for _ in range(6)]
    assert answers == [200, 200, 500, 500, 200, 200]


def test_a_rate_limit_names_no_time(mended: Sandbox) -> None:
    client = VaultClient(mended.environment())
    mended.inject(Fault("vault", "429"))
    answer = client.send("GET", "/v1/secret/data/mesh-six/a")
    assert answer.status_code == 429
    assert "retry-after" not in answer.headers


def test_a_rule_that_makes_no_sense_is_refused(mended: Sandbox) -> None:
    with pytest.raises(ValueError, match="no such kind"):
        Fault("vault", "explode")  # type: ignore[arg-type]
    with pytest.raises(Rejected):
        mended._control("POST", "/faults", {"system": "vault", "kind": "explode"})  # noqa: SLF001 - the wire


def logged(sandbox: Sandbox, work: Callable[[], object]) -> list[tuple[str, str, bool]]:
    mark = sandbox.mark()
    work()
    return [(request.method, request.path, request.wrote) for request in sandbox.requests(mark)]


def test_vault_reads_and_writes_are_told_apart(clean_sandbox: Sandbox) -> None:
    environment = clean_sandbox.environment()
    client = hvac.Client(environment["VAULT_ADDR"], environment["VAULT_TOKEN"])
    kv = client.secrets.kv.v2

    def work() -> None:
        client.auth.token.lookup_self()
        kv.create_or_update_secret("mesh-six/a", {"a": "b"}, cas=0)
        with pytest.raises(hvac.exceptions.InvalidRequest):
            kv.create_or_update_secret("mesh-six/a", {"a": "b"}, cas=0)
        kv.read_secret_version("mesh-six/a", raise_on_deleted_version=True)
        kv.list_secrets("mesh-six")
        client.adapter.get("/v1/secret/metadata/mesh-six?list=true")
        kv.delete_metadata_and_all_versions("mesh-six/a")

    assert logged(clean_sandbox, work) == [
        ("GET", "/v1/auth/token/lookup-self", False),
        ("POST", "/v1/secret/data/mesh-six/a", True),
        ("POST", "/v1/secret/data/mesh-six/a", False),
        ("GET", "/v1/secret/data/mesh-six/a", False),
        ("LIST", "/v1/secret/metadata/mesh-six", False),
        ("LIST", "/v1/secret/metadata/mesh-six?list=true", False),
        ("DELETE", "/v1/secret/metadata/mesh-six/a", True),
    ]


def test_s3_reads_and_writes_are_told_apart(clean_sandbox: Sandbox) -> None:
    client = S3Client(clean_sandbox.environment()).client()

    def work() -> None:
        client.bucket_exists(BUCKET)
        client.put_object(BUCKET, "acme/widgets/", BytesIO(b""), 0)
        list(client.list_objects(BUCKET, prefix="acme/"))
        client.remove_object(BUCKET, "acme/widgets/")

    entries = logged(clean_sandbox, work)
    assert [(method, wrote) for method, _, wrote in entries] == [
        ("HEAD", False), ("PUT", True), ("GET", False), ("DELETE", True),
    ]  # fmt: skip
    assert "prefix=acme/" in entries[2][1]


def test_emulators_say_themselves_what_wrote(clean_sandbox: Sandbox) -> None:
    client = AuthServiceClient(clean_sandbox.environment())

    def work() -> None:
        client.write()
        client.is_written()

    assert logged(clean_sandbox, work) == [("POST", "/projects", True), ("GET", "/projects/acme", False)]


def test_graphql_is_logged_by_its_operation(clean_sandbox: Sandbox) -> None:
    environment = clean_sandbox.environment()
    headers = {"authorization": f"Bearer {environment['GITHUB_TOKEN']}"}
    query = {
        "query": "query Q($login: String!) {\n  user: viewer { login }\n}",
        "variables": {"login": "secret"},
    }

    def work() -> None:
        httpx.post(f"{environment['GITHUB_API_URL']}/graphql", json=query, headers=headers)

    assert logged(clean_sandbox, work) == [("POST", "/graphql query viewer", False)]


def test_database_statements_are_logged_without_their_values(clean_sandbox: Sandbox) -> None:
    with psycopg.connect(clean_sandbox.environment()["DATABASE_URL"], autocommit=True) as connection:

        def work() -> None:
            connection.execute("SELECT * FROM repo_registry WHERE service_name = 's3cr3t'")
            connection.execute(
                f"{INSERT} VALUES (%s, 's3cr3t', $$s3cr3t$$, 'c', 'd')",
                ["s3cr3t"],
            )
            connection.execute("UPDATE repo_registry SET board_id = 's3cr3t' WHERE false")
            connection.execute("CREATE TABLE IF NOT EXISTS repo_registry (id int)")
            connection.execute("CREATE TABLE reconciler_item_verifications (id int)")
            connection.execute("INSERT INTO public.reconciler_item_verifications VALUES (1)")
            with pytest.raises(psycopg.errors.UndefinedTable):
                connection.execute("DELETE FROM nothing")
            connection.execute("SELECT 1; DELETE FROM repo_registry; SELECT 2", prepare=False)
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO reconciler_item_verifications VALUES (%s)", [(1,), (2,)])
                cursor.executemany(
                    f"{INSERT} VALUES (%s, 'a', 'b', 'c', 'd')",
                    [("x",), ("y",)],
                )

        mark = clean_sandbox.mark()
        work()
    requests = [request for request in clean_sandbox.requests(mark) if request.method != "BEGIN"]
    assert not [request for request in requests if "s3cr3t" in request.path]
    assert [(request.method, request.status, request.wrote) for request in requests] == [
        ("SELECT", 200, False),
        ("INSERT", 200, True),
        ("UPDATE", 200, False),
        ("CREATE", 200, False),
        ("CREATE", 200, False),
        ("INSERT", 200, False),
        ("DELETE", 500, False),
        ("SELECT", 200, False),
        ("DELETE", 200, True),
        ("SELECT", 200, False),
        ("INSERT", 200, False),
        ("INSERT", 200, False),
        ("INSERT", 200, True),
        ("INSERT", 200, True),
    ]


def test_the_control_port_wants_its_token(clean_sandbox: Sandbox) -> None:
    state = clean_sandbox._state()  # noqa: SLF001 - the wire
    answer = httpx.post(f"http://127.0.0.1:{state.ports['control']}/clear")
    assert answer.status_code == 401
