"""The GitHub client at the HTTP boundary: what is read, in how many requests, and which error says why."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from reconciler.clients.github import BranchProtected, GitHub, GitHubRepository, GitHubSettings, GitHubWriter
from reconciler.clients.github import RepositoryName as Name
from reconciler.model.errors import (
    Collision,
    ConfigurationError,
    Denied,
    Missing,
    Rejected,
    Unavailable,
)
from reconciler.settings.giving import Reading, Sections
from tests.kinds.project.support.github import Stage, stage

WIDGETS = Name("acme", "widgets")


@pytest.fixture
def github_stage() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def reader(github_stage: Stage) -> Iterator[GitHub]:
    made = GitHub.connect(github_stage.sections())
    yield made
    made.close()


@pytest.fixture
def writer(github_stage: Stage) -> Iterator[GitHubWriter]:
    made = GitHubWriter.connect(github_stage.sections())
    yield made
    made.close()


def test_what_a_repository_is_read_as(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository(
        files={".devcontainer/b/devcontainer.json": "{}", ".devcontainer/a/devcontainer.json": "{} // a"}
    )
    found = reader.repositories([WIDGETS])[WIDGETS]
    assert isinstance(found, GitHubRepository)
    assert (found.full_name, found.owner_type, found.default_branch) == (
        "acme/widgets",
        "Organization",
        "main",
    )
    assert found.permission == "ADMIN"
    assert [(file.path, file.text) for file in found.devcontainers] == [
        (".devcontainer/a/devcontainer.json", "{} // a"),
        (".devcontainer/b/devcontainer.json", "{}"),
    ]
    assert not found.unread


def test_the_file_in_the_usual_place_comes_first(github_stage: Stage, reader: GitHub) -> None:
    files = {
        ".devcontainer.json": "root",
        ".devcontainer/devcontainer.json": "main",
        ".devcontainer/a/devcontainer.json": "folder",
        ".devcontainer/a/other.json": "not one",
    }
    github_stage.repository(files=files)
    assert [file.text for file in reader.repository(WIDGETS).devcontainers] == ["main", "root", "folder"]


def test_another_branch_than_the_default_one(
    github_stage: Stage, reader: GitHub, writer: GitHubWriter
) -> None:
    github_stage.repository()
    head = reader.repository(WIDGETS).head
    assert head
    writer.create_branch("acme/widgets", "team/develop", head)
    writer.put_file(
        "acme/widgets", ".devcontainer.json", text="{}", message="m", branch="team/develop", replaces=None
    )
    found = reader.repository(Name("acme", "widgets", "team/develop"))
    assert (found.branch, found.default_branch, len(found.devcontainers)) == ("team/develop", "main", 1)
    assert reader.repository(Name("acme", "widgets", "none")).branch is None
    assert reader.repository(WIDGETS).devcontainers == ()


def test_one_bad_repository_of_many_is_the_only_one(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    gone = Name("acme", "gone")
    found = reader.repositories([WIDGETS, gone])
    assert isinstance(found[WIDGETS], GitHubRepository)
    assert isinstance(found[gone], Missing)


def test_forty_repositories_are_one_request_and_are_read_once_a_pass(
    github_stage: Stage, reader: GitHub
) -> None:
    names = [Name("acme", f"r{number}") for number in range(85)]
    github_stage.does("POST", "repositories", [{"owner": each.owner, "name": each.name} for each in names])
    assert len(reader.repositories(names)) == 85
    assert len(github_stage.wire.requests) == 3
    reader.repositories(names[:50])
    assert len(github_stage.wire.requests) == 3


def test_threads_share_one_client_and_one_read(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    with ThreadPoolExecutor(8) as pool:
        bulk = [pool.submit(reader.repositories, [WIDGETS]) for _ in range(8)]
        single = [pool.submit(reader.hooks, "repos/acme/widgets") for _ in range(8)]
        assert all(isinstance(each.result()[WIDGETS], GitHubRepository) for each in bulk)
        assert all(each.result() == () for each in single)
    assert github_stage.wire.requests.count("POST /graphql") == 1


def test_a_writer_reads_anew(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository()
    writer.repositories([WIDGETS])
    github_stage.does("PATCH", "repositories/acme/widgets", {"archived": True})
    found = writer.repositories([WIDGETS])[WIDGETS]
    assert isinstance(found, GitHubRepository)
    assert found.archived


def test_a_query_that_is_too_much_is_halved(github_stage: Stage, reader: GitHub) -> None:
    names = [Name("acme", f"r{number}") for number in range(8)]
    github_stage.does("POST", "repositories", [{"owner": each.owner, "name": each.name} for each in names])
    github_stage.wire.answers = [(502, {}, b""), (504, {}, b"")]
    assert all(isinstance(each, GitHubRepository) for each in reader.repositories(names).values())
    assert len(github_stage.wire.requests) == 5


def test_an_answer_cut_short_by_a_limit_is_asked_in_halves(github_stage: Stage, reader: GitHub) -> None:
    names = [Name("acme", f"r{number}") for number in range(4)]
    github_stage.does("POST", "repositories", [{"owner": each.owner, "name": each.name} for each in names])
    partial = {
        "data": {f"r{number}": None for number in range(4)},
        "errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "path": ["r1"], "message": "too much"}],
    }
    github_stage.wire.answers = [(200, {"content-type": "application/json"}, json.dumps(partial).encode())]
    assert all(isinstance(each, GitHubRepository) for each in reader.repositories(names).values())


@pytest.mark.parametrize("status", [500, 503])
def test_a_read_is_tried_again(github_stage: Stage, reader: GitHub, status: int) -> None:
    github_stage.repository()
    github_stage.wire.answers = [(status, {}, b""), (status, {}, b"")]
    assert isinstance(reader.repositories([WIDGETS])[WIDGETS], GitHubRepository)


def test_a_dead_github_is_not_asked_for_ever(github_stage: Stage, reader: GitHub) -> None:
    names = [Name("acme", f"r{number}") for number in range(400)]
    github_stage.wire.answers = [(502, {}, b"")] * 100
    with pytest.raises(Unavailable):
        reader.repositories(names)
    assert len(github_stage.wire.requests) <= 16
    with pytest.raises(Unavailable):
        reader.repositories(names)
    assert len(github_stage.wire.requests) <= 16


def test_nobody_there() -> None:
    reader = GitHub(GitHubSettings(apiUrl="http://127.0.0.1:9", token=SecretStr("t")))  # type: ignore[call-arg]
    with pytest.raises(Unavailable, match="ConnectError"):
        reader.repositories([WIDGETS])
    reader.close()


@pytest.mark.parametrize("mood", ["primary", "secondary", "secondary-silent"])
def test_a_used_up_rate_limit_says_when_it_is_over(github_stage: Stage, reader: GitHub, mood: str) -> None:
    github_stage.repository()
    github_stage.does("POST", "rate_limit", {"mode": mood, "times": 10, "retry_after": 77})
    with pytest.raises(Unavailable, match="rate limit") as raised:
        reader.repositories([WIDGETS])
    assert raised.value.retry_after
    assert raised.value.retry_after >= 60
    with pytest.raises(Unavailable, match="rate limit"):
        reader.hooks("repos/acme/widgets")


def test_a_date_as_retry_after_is_no_traceback(github_stage: Stage, reader: GitHub) -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    github_stage.wire.answers = [(429, {"retry-after": date}, b"{}")] * 4
    with pytest.raises(Unavailable):
        reader.hooks("repos/acme/widgets")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"data": {"r0": {"id": 1}}}', b'{"data": null}', b""])
def test_a_malformed_answer_is_rejected(github_stage: Stage, reader: GitHub, body: bytes) -> None:
    github_stage.wire.answers = [(200, {"content-type": "application/json"}, body)]
    with pytest.raises(Rejected):
        reader.repositories([WIDGETS])


def test_a_wrong_token_is_denied_at_once(github_stage: Stage) -> None:
    reader = GitHub.connect(github_stage.sections(token="ghp_wrong-canary"))
    with pytest.raises(Denied, match="GITHUB_TOKEN") as raised:
        reader.repositories([Name("acme", f"r{number}") for number in range(90)])
    assert "canary" not in str(raised.value)
    assert len(github_stage.wire.requests) == 1
    reader.close()


def test_writes_are_never_repeated(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository()
    github_stage.wire.cut_at, github_stage.wire.after = 1, True
    with pytest.raises(Unavailable):
        writer.create_hook(
            "repos/acme/widgets", url="https://x.example/", events=["push"], secret=SecretStr("s")
        )
    assert github_stage.wire.writes == 1
    assert len(writer.hooks("repos/acme/widgets")) == 1


def test_writes_keep_their_distance(github_stage: Stage) -> None:
    github_stage.repository()
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    settings = github_stage.sections(writePause=1.5).get(GitHubSettings)
    writer = GitHubWriter(settings, clock=lambda: now[0], sleep=sleep)
    for url in ("https://a.example/", "https://b.example/", "https://c.example/"):
        writer.create_hook("repos/acme/widgets", url=url, events=["push"], secret=SecretStr("s"))
    assert slept == [1.5, 1.5]
    now[0] += 10
    writer.create_hook("repos/acme/widgets", url="https://d.example/", events=["push"], secret=SecretStr("s"))
    assert slept == [1.5, 1.5]
    writer.close()


def test_updating_a_hook_never_loses_its_secret(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository()
    url = "https://x.example/"
    number = writer.create_hook("repos/acme/widgets", url=url, events=["push"], secret=SecretStr("one"))
    writer.update_hook("repos/acme/widgets", number, url=url, events=["issues"], secret=SecretStr("two"))
    (kept,) = github_stage.does("GET", "hooks/acme/widgets")
    assert kept["config"]["secret"] == "two"
    (seen,) = writer.hooks("repos/acme/widgets")
    assert (seen.events, seen.has_secret, seen.content_type) == (frozenset({"issues"}), True, "json")


def test_all_pages_are_read(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    for number in range(105):
        key = base64.b64encode(f"key {number}".encode()).decode()
        wish = {"repository": "acme/widgets", "key": f"ssh-ed25519 {key}", "title": str(number)}
        github_stage.does("POST", "keys", wish)
    assert len(reader.deploy_keys("acme/widgets")) == 105
    assert reader.repository(WIDGETS).more_deploy_keys


def test_refusals_are_told_apart(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository(protection="ruleset")
    github_stage.repository("classic", protection="classic-403")
    github_stage.repository("old", archived=True)
    github_stage.repository("open", files={"f": "1"})

    def put(name: str, branch: str | None = "main", replaces: str | None = None) -> None:
        writer.put_file(f"acme/{name}", "f", text="2", message="m", branch=branch, replaces=replaces)

    with pytest.raises(BranchProtected):
        put("widgets")
    with pytest.raises(BranchProtected):
        put("classic")
    with pytest.raises(Denied, match="archived"):
        put("old")
    with pytest.raises(Collision):
        put("open")
    with pytest.raises(Collision):
        put("open", replaces="0" * 40)
    with pytest.raises(Missing):
        put("open", branch="none")
    head = writer.repository(Name("acme", "open")).head
    assert head
    with pytest.raises(Collision):
        writer.create_branch("acme/open", "main", head)
    with pytest.raises(Missing):
        writer.hooks("repos/acme/none")


def test_what_restricts_a_branch(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    github_stage.repository("classic", protection="classic")
    github_stage.repository("ruled", protection="ruleset")
    assert reader.branch_restrictions("acme/widgets", "main") == frozenset()
    assert "protected" in reader.branch_restrictions("acme/classic", "main")
    assert "pull_request" in reader.branch_restrictions("acme/ruled", "main")


def test_a_renamed_repository_is_still_written_to(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository()
    github_stage.does("PATCH", "repositories/acme/widgets", {"name": "gadgets"})
    assert writer.repository(WIDGETS).full_name == "acme/gadgets"
    writer.create_hook("repos/acme/widgets", url="https://x.example/", events=["push"], secret=SecretStr("s"))
    assert len(writer.hooks("repos/acme/gadgets")) == 1


def test_the_empty_repository(github_stage: Stage, writer: GitHubWriter) -> None:
    github_stage.repository(empty=True, defaultBranch="trunk")
    assert writer.repository(WIDGETS).default_branch is None
    assert writer.default_branch("acme/widgets") == "trunk"
    writer.put_file("acme/widgets", "f", text="ü", message="m", branch=None, replaces=None)
    assert writer.repository(WIDGETS).default_branch == "trunk"
    found = writer.file("acme/widgets", "f", "trunk")
    assert found
    assert found.text == "ü"


def test_pull_requests_of_others_from_the_same_branch_name_are_not_ours(
    github_stage: Stage, writer: GitHubWriter
) -> None:
    github_stage.repository()
    head = writer.repository(WIDGETS).head
    assert head
    for branch in ("ours", "theirs"):
        writer.create_branch("acme/widgets", branch, head)
        writer.put_file("acme/widgets", branch, text="x", message="m", branch=branch, replaces=None)
        writer.create_pull_request("acme/widgets", title="t", body="b", head=branch, base="main")
    (found,) = writer.pull_requests("acme/widgets", head="ours", base="main")
    assert (found.number, found.state) == (1, "open")
    with pytest.raises(Collision):
        writer.create_pull_request("acme/widgets", title="t", body="b", head="ours", base="main")
    github_stage.does("POST", "pulls/acme/widgets/1/merge")
    assert writer.pull_requests("acme/widgets", head="ours", base="main")[0].state == "merged"


def test_without_a_token_github_is_an_error_and_not_just_off() -> None:
    with pytest.raises(ConfigurationError, match="GITHUB_TOKEN"):
        Reading(Sections({}, {})).get(GitHub)
    with pytest.raises(ConfigurationError, match="installationId"):
        Reading(Sections({"github": {"appId": "1"}}, {})).get(GitHub)
    with pytest.raises(ConfigurationError, match="apiUrl"):
        Reading(Sections({"github": {"token": "t", "apiUrl": "github.com"}}, {})).get(GitHub)


def test_an_app_signs_in_for_its_installation(github_stage: Stage) -> None:
    github_stage.repository()
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    settings = {"token": None, "appId": "7", "installationId": 9, "privateKey": pem.decode()}
    github_stage.does(
        "POST", "tokens", {"token": "ghs_short", "kind": "app", "permissions": {"contents": "read"}}
    )
    installation = {"token": "ghs_short", "expires_at": "2126-01-01T00:00:00Z", "permissions": {}}
    github_stage.wire.answers = [
        (201, {"content-type": "application/json"}, json.dumps(installation).encode())
    ]
    reader = GitHub.connect(github_stage.sections(**settings))
    assert reader.repository(WIDGETS).full_name == "acme/widgets"
    assert github_stage.wire.requests[0] == "POST /app/installations/9/access_tokens"
    reader.close()


def test_a_refused_app_is_denied_without_its_key(github_stage: Stage) -> None:
    settings = {"token": None, "appId": "7", "installationId": 9, "privateKey": "canary"}
    reader = GitHub.connect(github_stage.sections(**settings))
    with pytest.raises(Denied, match="sign in") as raised:
        reader.repository(WIDGETS)
    assert "canary" not in str(raised.value)
    reader.close()


def test_enterprise_server_has_graphql_beside_v3(github_stage: Stage) -> None:
    github_stage.repository()
    reader = GitHub.connect(github_stage.sections(apiUrl=f"{github_stage.url}/api/v3"))
    assert reader.repository(WIDGETS).full_name == "acme/widgets"
    assert reader.hooks("repos/acme/widgets") == ()
    assert github_stage.wire.requests == ["POST /api/graphql", "GET /api/v3/repos/acme/widgets/hooks"]
    reader.close()


def test_a_large_or_binary_file_has_no_text(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository(files={".devcontainer/devcontainer.json": "x" * 3_000_000})
    (file,) = reader.repository(WIDGETS).devcontainers
    assert file.text is None


def with_location(stage: Stage, path: str) -> dict[str, str]:
    return {"location": f"{stage.url}{path}"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_without_a_place_is_no_answer(github_stage: Stage, reader: GitHub, status: int) -> None:
    github_stage.wire.answers = [(status, {}, b'{"message": "Moved Permanently", "default_branch": "x"}')]
    with pytest.raises(Rejected, match=f"GET /repos/acme/widgets answered {status}") as refused:
        reader.default_branch("acme/widgets")
    assert "repoName" in refused.value.remedy


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_to_another_host_is_not_followed_and_names_the_setting(
    github_stage: Stage, writer: GitHubWriter, status: int
) -> None:
    github_stage.repository()
    there = {"location": github_stage.url.replace("127.0.0.1", "localhost") + "/login"}
    asks: list[Callable[[], object]] = [
        lambda: writer.default_branch("acme/widgets"),
        lambda: writer.repositories([WIDGETS]),
        lambda: writer.create_branch("acme/widgets", "ours", "0" * 40),
    ]
    for ask in asks:
        github_stage.wire.requests.clear()
        github_stage.wire.answers = [(status, there, b"")]
        with pytest.raises(Rejected, match=f"answered {status}, which leads to localhost") as refused:
            ask()
        assert "github.apiUrl" in refused.value.remedy
        assert len(github_stage.wire.requests) == 1


def test_a_renamed_repository_is_followed_to_its_number(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    number = github_stage.rest("/repos/acme/widgets")["id"]
    github_stage.wire.answers = [(301, with_location(github_stage, f"/repositories/{number}"), b"")]
    assert reader.default_branch("acme/old-name") == "main"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirected_write_is_not_taken_for_done(
    github_stage: Stage, writer: GitHubWriter, status: int
) -> None:
    github_stage.repository()
    there = with_location(github_stage, "/repos/acme/widgets/git/ref/heads/main")
    github_stage.wire.answers = [(status, there, b"")]
    with pytest.raises(Rejected, match=f"answered {status}, which no write follows"):
        writer.create_branch("acme/widgets", "ours", "0" * 40)


@pytest.mark.parametrize(
    "place",
    [
        "/login",
        "/repos/acme/widgets/git/refs",
        "/repositories/1/hooks",
        "/repositories/x/git/refs",
        "/elsewhere/repositories/1/git/refs",
    ],
)
@pytest.mark.parametrize("status", [307, 308])
def test_a_write_follows_to_nothing_else_than_the_same_of_a_number(
    github_stage: Stage, writer: GitHubWriter, status: int, place: str
) -> None:
    github_stage.wire.answers = [(status, with_location(github_stage, place), b"")]
    with pytest.raises(Rejected, match=f"answered {status}, which no write follows"):
        writer.create_branch("acme/widgets", "ours", "0" * 40)
    assert len(github_stage.wire.requests) == 1


def test_graphql_follows_nobody(github_stage: Stage, reader: GitHub) -> None:
    github_stage.wire.answers = [(307, with_location(github_stage, "/repositories/1"), b"")]
    with pytest.raises(Rejected, match="which no write follows"):
        reader.repository(WIDGETS)


def test_a_write_to_a_renamed_repository_is_made_where_it_is_now(
    github_stage: Stage, writer: GitHubWriter
) -> None:
    github_stage.repository()
    raw = github_stage.rest("/repos/acme/widgets")
    head = github_stage.rest("/repos/acme/widgets/git/ref/heads/main")["object"]["sha"]
    there = with_location(github_stage, f"/repositories/{raw['id']}/git/refs")
    github_stage.wire.answers = [(307, there, b"")]
    writer.create_branch("acme/old-name", "ours", head)
    assert writer.branch_head("acme/widgets", "ours") == head


def test_redirects_in_a_circle_come_to_an_end(github_stage: Stage, reader: GitHub) -> None:
    there = with_location(github_stage, "/repos/acme/widgets")
    github_stage.wire.answers = [(302, there, b"")] * 30
    with pytest.raises(Rejected, match="in a circle"):
        reader.default_branch("acme/widgets")


@pytest.mark.parametrize("body", [b"", b"<html>nothing here</html>", b'{"message": "Not Found"}'])
def test_an_address_without_the_api_says_nothing_of_a_repository(
    github_stage: Stage, reader: GitHub, body: bytes
) -> None:
    github_stage.wire.answers = [(404, {}, body)]
    with pytest.raises(Rejected, match="no GraphQL API at") as refused:
        reader.repositories([WIDGETS, Name("acme", "gadgets")])
    assert "github.apiUrl" in refused.value.remedy


def test_what_may_not_be_seen_is_told_with_that_possibility(github_stage: Stage, reader: GitHub) -> None:
    github_stage.repository()
    refusals = {"GET /repos/acme/widgets/hooks": (404, b'{"message": "Not Found"}')}
    github_stage.wire.refusals = refusals
    with pytest.raises(Missing, match="hooks answered 404") as refused:
        reader.hooks("acme/widgets")
    assert "no right to see" in refused.value.remedy
