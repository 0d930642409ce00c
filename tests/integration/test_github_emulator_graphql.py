"""GraphQL and project boards: costs, errors beside what is valid, and creating twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.github_emulator import Emulated, wrote

READ = """
query($o0:String!,$n0:String!,$o1:String!,$n1:String!){
  rateLimit{cost remaining resetAt nodeCount}
  r0:repository(owner:$o0,name:$n0){...R}  r1:repository(owner:$o1,name:$n1){...R} }
"""
FRAGMENT = """
fragment R on Repository{
  id databaseId nameWithOwner isArchived isDisabled viewerPermission viewerCanAdminister
  defaultBranchRef{name target{oid}}  owner{__typename id login}
  dc:object(expression:"HEAD:.devcontainer/devcontainer.json"){...on Blob{oid text isTruncated}}
  projectsV2(first:5,orderBy:{field:NUMBER,direction:ASC}){pageInfo{hasNextPage endCursor}
    nodes{id number title url closed readme
      fields(first:30){pageInfo{hasNextPage} nodes{__typename
        ...on ProjectV2FieldCommon{id name dataType}
        ...on ProjectV2SingleSelectField{options{id name color description}}}}}} }
"""
CREATE = "mutation($i:CreateProjectV2Input!){createProjectV2(input:$i){projectV2{id number url}}}"
CREATE_FIELD = """mutation($i:CreateProjectV2FieldInput!){createProjectV2Field(input:$i){projectV2Field{
  ...on ProjectV2FieldCommon{id name} ...on ProjectV2SingleSelectField{options{id name}}}}}"""
UPDATE_FIELD = """mutation($i:UpdateProjectV2FieldInput!){updateProjectV2Field(input:$i){projectV2Field{
  ...on ProjectV2FieldCommon{name} ...on ProjectV2SingleSelectField{options{id name}}}}}"""
UPDATE = "mutation($i:UpdateProjectV2Input!){updateProjectV2(input:$i){projectV2{title readme closed}}}"
LINK = "mutation($i:LinkProjectV2ToRepositoryInput!){linkProjectV2ToRepository(input:$i){repository{id}}}"
BOARDS_OF_OWNER = """query($l:String!,$q:String){repositoryOwner(login:$l){__typename id
  ...on ProjectV2Owner{projectsV2(first:20,query:$q){totalCount nodes{id title}}}}}"""
BOARDS_OF_REPOSITORY = """query($o:String!,$n:String!){repository(owner:$o,name:$n){id owner{id}
  projectsV2(first:20){nodes{id title}}}}"""


@pytest.fixture
def github() -> Emulated:
    one = Emulated()
    one.repository()
    one.repository("some-user/toys", ownerType="User")
    return one


def ids(github: Emulated, name: str = "acme/widgets") -> tuple[str, str]:
    """Return the node ids of a repository and of its owner."""
    owner, _, short = name.partition("/")
    found = github.graphql(BOARDS_OF_REPOSITORY, o=owner, n=short)["data"]["repository"]
    return found["id"], found["owner"]["id"]


def create(github: Emulated, title: str = "Board", *, linked: bool = True, name: str = "acme/widgets") -> str:
    repository, owner = ids(github, name)
    wish = {"ownerId": owner, "title": title} | ({"repositoryId": repository} if linked else {})
    return str(github.graphql(CREATE, i=wish)["data"]["createProjectV2"]["projectV2"]["id"])


def boards(github: Emulated, name: str = "acme/widgets", **options: Any) -> list[str]:
    owner, _, short = name.partition("/")
    found = github.graphql(BOARDS_OF_REPOSITORY, o=owner, n=short, **options)
    return [board["title"] for board in found["data"]["repository"]["projectsV2"]["nodes"]]


def errors(answer: dict[str, Any]) -> list[tuple[str | None, list[Any] | None]]:
    return [(error.get("type"), error.get("path")) for error in answer["errors"]]


def fields(github: Emulated, board: str) -> dict[str, dict[str, Any]]:
    query = """query($id:ID!){node(id:$id){...on ProjectV2{fields(first:50){nodes{__typename
      ...on ProjectV2FieldCommon{id name dataType}
      ...on ProjectV2SingleSelectField{options{id name color description}}
    }}}}}"""
    found = github.graphql(query, id=board)["data"]["node"]["fields"]["nodes"]
    return {field["name"]: field for field in found}


def test_one_bad_repository_leaves_the_others_valid(github: Emulated) -> None:
    answer = github.graphql(READ + FRAGMENT, o0="ACME", n0="Widgets", o1="o", n1="x")
    assert answer["data"]["r0"]["nameWithOwner"] == "acme/widgets"
    assert answer["data"]["r0"]["owner"]["__typename"] == "Organization"
    assert answer["data"]["r0"]["viewerPermission"] == "ADMIN"
    assert answer["data"]["r1"] is None
    [error] = answer["errors"]
    assert (error["type"], error["path"]) == ("NOT_FOUND", ["r1"])
    assert error["message"] == "Could not resolve to a Repository with the name 'o/x'."


def test_a_renamed_repository_is_followed_unless_told_not_to(github: Emulated) -> None:
    github.seam("repositories/acme/widgets", {"name": "gadgets"}, method="PATCH")
    query = '{repository(owner:"acme",name:"widgets",followRenames:%s){nameWithOwner}}'
    assert github.graphql(query % "true")["data"]["repository"]["nameWithOwner"] == "acme/gadgets"
    assert errors(github.graphql(query % "false")) == [("NOT_FOUND", ["repository"])]


def test_text_of_a_file_with_its_oid(github: Emulated) -> None:
    github.repository("acme/with", files={".devcontainer/devcontainer.json": "{}"})
    answer = github.graphql(READ + FRAGMENT, o0="acme", n0="with", o1="acme", n1="widgets")
    rest = github.http.get("/repos/acme/with/contents/.devcontainer/devcontainer.json").json()
    assert answer["data"]["r0"]["dc"] == {"oid": rest["sha"], "text": "{}", "isTruncated": False}
    assert answer["data"]["r1"]["dc"] is None


@pytest.mark.parametrize(("repositories", "points"), [(1, 1), (25, 2), (50, 3)])
def test_points_and_nodes_are_counted_as_published(github: Emulated, repositories: int, points: int) -> None:
    query = "{rateLimit{cost nodeCount remaining}" + "".join(
        f'r{n}:repository(owner:"acme",name:"widgets"){{...R}}' for n in range(repositories)
    )
    limit = github.graphql(query + "}" + FRAGMENT)["data"]["rateLimit"]
    assert limit == {"cost": points, "nodeCount": repositories * (5 + 5 * 30), "remaining": 5000 - points}


def test_paging_is_mandatory_and_bounded(github: Emulated) -> None:
    query = '{repository(owner:"acme",name:"widgets"){projectsV2%s{totalCount}}}'
    assert errors(github.graphql(query % "")) == [("MISSING_PAGINATION_BOUNDARIES", None)]
    assert errors(github.graphql(query % "(first:101)")) == [("EXCESSIVE_PAGINATION", None)]
    deep = query.replace(
        "totalCount", "nodes{repositories(first:100){nodes{projectsV2(first:100){totalCount}}}}"
    )
    assert errors(github.graphql(deep % "(first:100)")) == [("MAX_NODE_LIMIT_EXCEEDED", None)]


def test_bad_documents_are_errors_in_a_200(github: Emulated) -> None:
    assert "data" not in github.graphql("{nonsense}")
    assert "data" not in github.graphql("{{")
    assert "data" not in github.graphql("query($o:String!){repositoryOwner(login:$o){id}}")
    assert github.client(None).post("/graphql", json={"query": "{viewer{login}}"}).status_code == 401
    assert github.client("wrong").post("/graphql", json={"query": "{viewer{login}}"}).status_code == 401


def test_queries_are_no_writes_and_mutations_are(github: Emulated) -> None:
    assert not wrote(github.http.post("/graphql", json={"query": "{viewer{login}}"}))
    _, owner = ids(github)
    good = {"query": CREATE, "variables": {"i": {"ownerId": owner, "title": "x"}}}
    assert wrote(github.http.post("/api/graphql", json=good))
    bad = {"query": CREATE, "variables": {"i": {"ownerId": "O_kgDOAAAA", "title": "x"}}}
    assert not wrote(github.http.post("/graphql", json=bad))


def test_the_same_title_twice_gives_two_boards(github: Emulated) -> None:
    assert create(github) != create(github)
    assert boards(github) == ["Board", "Board"]


def test_a_board_without_a_repository_is_an_orphan_until_linked(github: Emulated) -> None:
    board = create(github, "Orphan", linked=False)
    assert boards(github) == []
    found = github.graphql(BOARDS_OF_OWNER, l="acme", q="orph")["data"]["repositoryOwner"]
    assert [one["id"] for one in found["projectsV2"]["nodes"]] == [board]
    repository, _ = ids(github)
    for _ in range(2):
        linked = github.graphql(LINK, i={"projectId": board, "repositoryId": repository})
        assert linked["data"]["linkProjectV2ToRepository"] == {"repository": {"id": repository}}
    assert boards(github) == ["Orphan"]


def test_a_repository_of_another_owner_is_not_linked(github: Emulated) -> None:
    board = create(github)
    repository, _ = ids(github, "some-user/toys")
    answer = github.graphql(LINK, i={"projectId": board, "repositoryId": repository})
    assert errors(answer) == [("UNPROCESSABLE", ["linkProjectV2ToRepository"])]
    assert answer["data"] == {"linkProjectV2ToRepository": None}


def test_a_new_board_has_the_built_in_fields_and_status_options(github: Emulated) -> None:
    found = fields(github, create(github))
    assert set(found) >= {"Title", "Assignees", "Status", "Labels", "Repository"}
    options = found["Status"]["options"]
    assert [option["name"] for option in options] == ["Todo", "In Progress", "Done"]
    assert all(len(option["id"]) == 8 and int(option["id"], 16) >= 0 for option in options)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"name": "Priority", "dataType": "TEXT"}, "Name has already been taken"),
        ({"name": "priority", "dataType": "TEXT"}, "Name has already been taken"),
        ({"name": "Assignee", "dataType": "TEXT"}, "Name cannot have a reserved value"),
        ({"name": "Type", "dataType": "TEXT"}, "Name cannot have a reserved value"),
        ({"name": "Kind", "dataType": "SINGLE_SELECT"}, "Single select options can't be blank"),
        ({"name": " ", "dataType": "TEXT"}, "Name can't be blank"),
    ],
)
def test_bad_fields_are_refused(github: Emulated, wish: dict[str, str], says: str) -> None:
    board = create(github)
    made = github.graphql(CREATE_FIELD, i={"projectId": board, "name": "Priority", "dataType": "TEXT"})
    assert made["data"]["createProjectV2Field"]["projectV2Field"]["name"] == "Priority"
    answer = github.graphql(CREATE_FIELD, i={"projectId": board, **wish})
    assert answer["errors"][0]["message"] == says
    assert errors(answer) == [("UNPROCESSABLE", ["createProjectV2Field"])]


def test_an_option_without_description_does_not_fit_the_schema(github: Emulated) -> None:
    options = [{"name": "High", "color": "RED"}]
    wish = {
        "projectId": create(github),
        "name": "P",
        "dataType": "SINGLE_SELECT",
        "singleSelectOptions": options,
    }
    assert "data" not in github.graphql(CREATE_FIELD, i=wish)


def test_options_keep_their_ids_only_when_resent_with_them(github: Emulated) -> None:
    status = fields(github, create(github))["Status"]
    old = status["options"]
    new = {"name": "Blocked", "color": "RED", "description": ""}

    def overwrite(options: list[dict[str, Any]]) -> list[dict[str, Any]]:
        answer = github.graphql(UPDATE_FIELD, i={"fieldId": status["id"], "singleSelectOptions": options})
        found: list[dict[str, Any]] = answer["data"]["updateProjectV2Field"]["projectV2Field"]["options"]
        return found

    kept = overwrite([*old, new])
    assert [option["id"] for option in kept[:3]] == [option["id"] for option in old]
    assert [option["name"] for option in overwrite([])] == ["Todo", "In Progress", "Done", "Blocked"]
    lost = overwrite([{key: option[key] for key in ("name", "color", "description")} for option in old])
    assert {option["id"] for option in lost}.isdisjoint({option["id"] for option in old})


def test_update_writes_marker_and_title(github: Emulated) -> None:
    board = create(github)
    wish = {"projectId": board, "readme": "onboard-id: 1", "title": "Renamed", "closed": True}
    changed = github.graphql(UPDATE, i=wish)["data"]["updateProjectV2"]["projectV2"]
    assert changed == {"title": "Renamed", "readme": "onboard-id: 1", "closed": True}
    by_title = github.graphql(BOARDS_OF_OWNER, l="acme", q="renamed is:closed")
    assert by_title["data"]["repositoryOwner"]["projectsV2"]["totalCount"] == 1


def test_boards_are_paged_by_cursor(github: Emulated) -> None:
    for number in range(5):
        create(github, f"Board {number}")
    query = """query($c:String){repository(owner:"acme",name:"widgets"){
      projectsV2(first:2,after:$c,orderBy:{field:NUMBER,direction:ASC}){
        pageInfo{hasNextPage endCursor} nodes{title}}}}"""
    seen, cursor, more = [], None, True
    while more:
        page = github.graphql(query, c=cursor)["data"]["repository"]["projectsV2"]
        seen += [board["title"] for board in page["nodes"]]
        cursor, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == [f"Board {number}" for number in range(5)]


def test_a_field_of_another_kind_of_owner_is_not_found(github: Emulated) -> None:
    answer = github.graphql('{user(login:"acme"){id} organization(login:"acme"){login}}')
    assert answer["data"] == {"user": None, "organization": {"login": "acme"}}
    assert errors(answer) == [("NOT_FOUND", ["user"])]
    assert github.graphql('{repositoryOwner(login:"none"){id}}')["data"] == {"repositoryOwner": None}


def test_a_token_without_the_project_scope_gets_no_data_at_all(github: Emulated) -> None:
    weak = github.token("weak", scopes=["repo"])
    answer = github.graphql(READ + FRAGMENT, client=weak, o0="acme", n0="widgets", o1="o", n1="x")
    assert "data" not in answer
    assert {error["type"] for error in answer["errors"]} == {"INSUFFICIENT_SCOPES"}
    reader = github.token("reader", scopes=["repo", "read:project"])
    assert boards(github) == []
    _, owner = ids(github)
    refused = github.graphql(CREATE, client=reader, i={"ownerId": owner, "title": "x"})
    assert errors(refused) == [("INSUFFICIENT_SCOPES", None)]


def test_a_user_without_rights_may_not_create(github: Emulated) -> None:
    weak = github.token("weak", login="guest", default="read")
    _, owner = ids(github)
    answer = github.graphql(CREATE, client=weak, i={"ownerId": owner, "title": "x"})
    assert errors(answer) == [("FORBIDDEN", ["createProjectV2"])]


@pytest.mark.parametrize("kind", ["app", "fine-grained"])
def test_a_users_boards_are_an_empty_list_to_app_like_tokens(github: Emulated, kind: str) -> None:
    create(github, name="some-user/toys")
    create(github)
    weak = github.token(
        "weak", kind=kind, permissions={"organization_projects": "admin", "contents": "write"}
    )
    hidden = github.graphql(BOARDS_OF_OWNER, client=weak, l="some-user")
    assert "errors" not in hidden
    assert hidden["data"]["repositoryOwner"]["projectsV2"] == {"totalCount": 0, "nodes": []}
    assert github.graphql(BOARDS_OF_REPOSITORY, client=weak, o="some-user", n="toys")["data"]["repository"][
        "projectsV2"
    ] == {"nodes": []}
    shown = github.graphql(BOARDS_OF_OWNER, client=weak, l="acme")
    assert shown["data"]["repositoryOwner"]["projectsV2"]["totalCount"] == 1
    _, owner = ids(github, "some-user/toys")
    refused = github.graphql(CREATE, client=weak, i={"ownerId": owner, "title": "x"})
    assert errors(refused) == [("FORBIDDEN", ["createProjectV2"])]


def test_limits_speak_inside_a_200_or_as_403(github: Emulated) -> None:
    github.seam("rate_limit", {"mode": "primary", "times": 1})
    assert errors(github.graphql("{viewer{login}}")) == [("RATE_LIMITED", None)]
    github.seam("rate_limit", {"mode": "normal", "forget": True})
    github.seam("rate_limit", {"mode": "secondary-silent", "times": 1, "status": 200})
    assert "secondary rate limit" in github.graphql("{viewer{login}}")["errors"][0]["message"]
    github.seam("rate_limit", {"mode": "secondary", "times": 1})
    refused = github.http.post("/graphql", json={"query": "{viewer{login}}"})
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "60")


def test_deploy_keys_are_for_admins(github: Emulated) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGd5"
    github.seam("keys", {"repository": "acme/widgets", "title": "pod", "key": f"{key} c"})
    query = '{repository(owner:"acme",name:"widgets"){deployKeys(first:5){nodes{title key readOnly}}}}'
    found = github.graphql(query)["data"]["repository"]["deployKeys"]["nodes"]
    assert found == [{"title": "pod", "key": key, "readOnly": True}]
    weak = github.token("weak", default="write")
    assert github.graphql(query, client=weak)["data"]["repository"]["deployKeys"]["nodes"] == []


def test_forty_repositories_out_of_a_thousand_are_read_quickly(github: Emulated) -> None:
    github.seam("repositories", [{"owner": "acme", "name": f"r{n}"} for n in range(1000)])
    custom = [{"name": name, "dataType": "TEXT"} for name in ("Session ID", "Pod Name", "Workflow ID")]
    wish = [
        {"owner": "acme", "title": f"b{n}", "repositories": [f"acme/r{n}"], "fields": custom}
        for n in range(1000)
    ]
    github.seam("projects", wish)
    query = (
        "{"
        + "".join(f'r{n}:repository(owner:"acme",name:"r{n}"){{...R}}' for n in range(40))
        + "}"
        + FRAGMENT
    )
    answer = github.graphql(query)
    assert [answer["data"][f"r{n}"]["projectsV2"]["nodes"][0]["title"] for n in range(40)] == [
        f"b{n}" for n in range(40)
    ]
