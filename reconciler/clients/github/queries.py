"""The GraphQL documents, and how their answers become models.

Text of people never enters a document: aliases are r0, r1, …, and all else is variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from reconciler.clients.github.models import (
    Board,
    BoardField,
    DeployKey,
    FileContent,
    GitHubRepository,
    RepositoryName,
)
from reconciler.clients.github.refusals import SYSTEM
from reconciler.model.errors import Senseless

T = TypeVar("T")

BOARD = """
fragment P on ProjectV2{id number title url closed readme owner{id}
  fields(first:100){nodes{__typename
    ...on ProjectV2FieldCommon{id name dataType} ...on ProjectV2SingleSelectField{options{id name}}}}}
"""
# GitHub charges a query by its connections, a point for each hundred. Here a repository has seven: its
# boards, the fields of at most five, its deploy keys. So 40 repositories are 3 points of 5,000 an hour.
_REPOSITORY = (
    """
fragment R on Repository{id databaseId nameWithOwner isArchived isDisabled viewerPermission
  owner{__typename id login} defaultBranchRef{name target{oid}}
  projectsV2(first:5,orderBy:{field:NUMBER,direction:ASC}){pageInfo{hasNextPage} nodes{...P}}
  deployKeys(first:20){pageInfo{hasNextPage} nodes{title key readOnly}}}
fragment F on Blob{oid text isTruncated}
fragment D on Tree{entries{name mode object{__typename
  ...on Tree{entries{name mode object{__typename ...F}}}}}}
"""
    + BOARD
)
_HEAD = """
fragment H on Repository{
  main:object(expression:"HEAD:.devcontainer/devcontainer.json"){__typename ...F}
  root:object(expression:"HEAD:.devcontainer.json"){__typename ...F}
  folder:object(expression:"HEAD:.devcontainer"){__typename ...D}}
"""
_UNTOLD: Mapping[str, Any] = {"nodes": (), "pageInfo": {"hasNextPage": False}}
"""In place of a connection that is null, which is no empty one."""
_FILES = {0o100644, 0o100755}
"""Git's modes of what is a file, and no link, folder or submodule."""
MAIN, ROOT, FOLDER = ".devcontainer/devcontainer.json", ".devcontainer.json", ".devcontainer"

LINKED_BOARDS = (
    """query($id:ID!,$after:String){node(id:$id){...on Repository{
  boards:projectsV2(first:20,after:$after,orderBy:{field:NUMBER,direction:ASC}){
    pageInfo{hasNextPage endCursor} nodes{...P}}}}}"""
    + BOARD
)
OWNED_BOARDS = (
    """query($login:String!,$title:String!,$after:String){
  node:repositoryOwner(login:$login){...on ProjectV2Owner{
    boards:projectsV2(first:20,after:$after,query:$title){pageInfo{hasNextPage endCursor} nodes{...P}}}}}"""
    + BOARD
)
ONE_BOARD = "query($id:ID!){node(id:$id){__typename ...P}}" + BOARD

ITEMS = """query($ids:[ID!]!){nodes(ids:$ids){...on ProjectV2{id closed items(first:0){totalCount}}}}"""

CREATE_BOARD = (
    """mutation($owner:ID!,$repository:ID!,$title:String!){
  made:createProjectV2(input:{ownerId:$owner,repositoryId:$repository,title:$title}){projectV2{...P}}}"""
    + BOARD
)
UPDATE_BOARD = """mutation($board:ID!,$title:String!,$readme:String!){
  made:updateProjectV2(input:{projectId:$board,title:$title,readme:$readme}){projectV2{id}}}"""
CLOSE_BOARD = """mutation($board:ID!,$closed:Boolean!){
  made:updateProjectV2(input:{projectId:$board,closed:$closed}){projectV2{id closed}}}"""
LINK_BOARD = """mutation($board:ID!,$repository:ID!){
  made:linkProjectV2ToRepository(input:{projectId:$board,repositoryId:$repository}){repository{id}}}"""
CREATE_FIELD = """mutation($board:ID!,$name:String!,$type:ProjectV2CustomFieldType!,
    $options:[ProjectV2SingleSelectFieldOptionInput!]){
  made:createProjectV2Field(input:{projectId:$board,name:$name,dataType:$type,singleSelectOptions:$options}){
    projectV2Field{__typename ...on ProjectV2FieldCommon{id name dataType}
      ...on ProjectV2SingleSelectField{options{id name}}}}}"""

OPTIONS = """query($field:ID!){node(id:$field){...on ProjectV2SingleSelectField{
  options{id name color description}}}}"""
UPDATE_FIELD = """mutation($field:ID!,$options:[ProjectV2SingleSelectFieldOptionInput!]!){
  made:updateProjectV2Field(input:{fieldId:$field,singleSelectOptions:$options}){
    projectV2Field{__typename ...on ProjectV2FieldCommon{id name dataType}
      ...on ProjectV2SingleSelectField{options{id name}}}}}"""


def repositories(wanted: Sequence[RepositoryName]) -> tuple[str, dict[str, str]]:
    """Return (document, variables) that read these; the n-th is alias `r<n>` of the answer."""
    variables: dict[str, str] = {}
    declared: list[str] = []
    parts: list[str] = []
    for index, each in enumerate(wanted):
        given = {f"o{index}": each.owner, f"n{index}": each.name}
        look = "...H"
        if each.branch is not None:
            head = f"refs/heads/{each.branch}"
            given |= {
                f"b{index}": head,
                f"m{index}": f"{head}:{MAIN}",
                f"t{index}": f"{head}:{ROOT}",
                f"f{index}": f"{head}:{FOLDER}",
            }
            look = (
                f"branch:ref(qualifiedName:$b{index}){{name target{{oid}}}} "
                f"main:object(expression:$m{index}){{__typename ...F}} "
                f"root:object(expression:$t{index}){{__typename ...F}} "
                f"folder:object(expression:$f{index}){{__typename ...D}}"
            )
        parts.append(f"r{index}:repository(owner:$o{index},name:$n{index}){{...R {look}}}")
        declared += [f"${name}:String!" for name in given]
        variables |= given
    head_fragment = _HEAD if any(each.branch is None for each in wanted) else ""
    return f"query({','.join(declared)}){{{' '.join(parts)}}}{_REPOSITORY}{head_fragment}", variables


def sensible(said: str, parse: Callable[[Any], T], raw: object) -> T:
    """Return what `parse` makes of an answer; Senseless when it is not of the form that it needs."""
    try:
        return parse(raw)
    except (LookupError, TypeError, AttributeError, ValueError, ValidationError) as error:
        # The cause is left out: it may quote the answer.
        raise Senseless(
            SYSTEM, f"{said} answered with something that makes no sense ({type(error).__name__})"
        ) from None


def repository(raw: Mapping[str, Any], unread: frozenset[str]) -> GitHubRepository:
    """Return the repository of one alias; `unread` names parts that GitHub refused."""
    default, owner = raw["defaultBranchRef"], raw["owner"]
    looked_at = raw.get("branch", default)
    untold = {name for name in ("projectsV2", "deployKeys") if raw[name] is None}
    boards, keys = (_UNTOLD if raw[name] is None else raw[name] for name in ("projectsV2", "deployKeys"))
    return GitHubRepository(
        id=raw["id"],
        number=raw["databaseId"],
        full_name=raw["nameWithOwner"],
        archived=raw["isArchived"],
        disabled=raw["isDisabled"],
        permission=raw["viewerPermission"],
        owner_id=owner["id"],
        owner_login=owner["login"],
        owner_type=owner["__typename"],
        default_branch=default and default["name"],
        branch=looked_at and looked_at["name"],
        head=looked_at and looked_at["target"]["oid"],
        devcontainers=tuple(_devcontainers(raw)),
        boards=tuple(board(each) for each in nodes(boards)),
        more_boards=boards["pageInfo"]["hasNextPage"],
        deploy_keys=tuple(DeployKey(each["title"], each["key"], each["readOnly"]) for each in nodes(keys)),
        more_deploy_keys=keys["pageInfo"]["hasNextPage"],
        unread=unread | untold,
    )


def page_of_boards(data: Mapping[str, Any]) -> tuple[list[Board], bool, str | None]:
    """Return (boards, whether there are more, after what those come) of a page of a `node`'s boards."""
    raw = data["node"]["boards"]
    about = raw["pageInfo"]
    return [board(each) for each in nodes(raw)], about["hasNextPage"], about["endCursor"]


def board(raw: Mapping[str, Any]) -> Board:
    """Return a board with its fields."""
    return Board(
        id=raw["id"],
        number=raw["number"],
        title=raw["title"],
        url=raw["url"],
        closed=raw["closed"],
        readme=raw["readme"] or "",
        owner_id=raw["owner"]["id"],
        fields=tuple(board_field(each) for each in nodes(raw["fields"])),
    )


def items(raw: object) -> dict[str, int]:
    """Return the number of items of each open board of a list of nodes, by its id."""
    boards = [node for node in _listed(raw) if node and not node["closed"]]
    return {str(each["id"]): _count(each["items"]["totalCount"]) for each in boards}


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(type(value).__name__)
    return value


def board_field(raw: Mapping[str, Any]) -> BoardField:
    """Return a field with its options."""
    listed = raw["options"] if raw["dataType"] == "SINGLE_SELECT" else []
    options = {option["name"]: option["id"] for option in _listed(listed)}
    return BoardField(raw["id"], raw["name"], raw["dataType"], options)


def nodes(connection: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return what a connection holds, without the nodes that we may not see; TypeError without a list."""
    return [node for node in _listed(connection["nodes"]) if node is not None]


def _listed(value: object) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(type(value).__name__)
    return value


def _devcontainers(raw: Mapping[str, Any]) -> Iterable[FileContent]:
    folder = raw["folder"] or {}
    if folder and folder["__typename"] != "Tree":
        yield FileContent(FOLDER, folder.get("oid", ""), None, regular=False)
    entries = folder.get("entries") or []
    links = {entry["name"] for entry in entries if entry["mode"] not in _FILES}
    for path, found in ((MAIN, raw["main"]), (ROOT, raw["root"])):
        if found:
            yield _file(path, found, regular=path == ROOT or "devcontainer.json" not in links)
    for below in sorted(entries, key=lambda entry: str(entry["name"])):
        for entry in (below["object"] or {}).get("entries") or []:
            if entry["name"] == "devcontainer.json":
                path, regular = f"{FOLDER}/{below['name']}/devcontainer.json", entry["mode"] in _FILES
                yield _file(path, entry["object"] or {"__typename": "Commit"}, regular=regular)


def _file(path: str, raw: Mapping[str, Any], *, regular: bool) -> FileContent:
    whole = raw["__typename"] == "Blob" and not raw["isTruncated"]
    return FileContent(path, raw.get("oid", ""), raw["text"] if whole else None, regular)
