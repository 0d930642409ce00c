"""What we read from GitHub: repositories in bulk, and the few things that can only be asked one by one.

Knows nothing of projects, markers or what any of it is for.
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from reconciler.clients.github import queries
from reconciler.clients.github.account import GitHubSettings
from reconciler.clients.github.batches import Found, fault_of_all, read_all
from reconciler.clients.github.models import (
    Board,
    DeployKey,
    FileContent,
    GitHubRepository,
    Hook,
    PullRequest,
    RepositoryName,
)
from reconciler.clients.github.refusals import SYSTEM, TooHeavy, graphql_fault
from reconciler.clients.retry import Retry
from reconciler.model.errors import Denied, Missing, Rejected, Senseless, SystemFault
from reconciler.settings.giving import Reader, Sections, Settings

if TYPE_CHECKING:
    from reconciler.clients.github.connection import Connection


class GitHub(Reader):
    """Reads; what `repositories` reads is kept for the pass, so that resources share it."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = GitHubSettings

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings
        self._connecting = threading.Lock()
        self._connection: Connection | None = None
        self._retry = Retry()
        self._reading = threading.Lock()
        self._kept: dict[RepositoryName, Found] = {}
        self._names: dict[int, str | None] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client; it connects with its first request."""
        return cls(sections.get(GitHubSettings))

    def close(self) -> None:
        """Give back the connections."""
        with self._connecting:
            if self._connection:
                self._connection.close()
                self._connection = None

    def repositories(self, wanted: Iterable[RepositoryName]) -> Mapping[RepositoryName, Found]:
        """Return each repository, or why it in particular could not be read (Missing: not there).

        One request for 40; each name is asked once a pass. Raises SystemFault when nothing could be read.
        """
        with self._reading:
            names = list(dict.fromkeys(wanted))
            self._kept |= read_all([name for name in names if name not in self._kept], self._ask, self._retry)
            found = {name: self._kept[name] for name in names}
        if fault := fault_of_all(found):
            raise fault
        return found

    def repository(self, wanted: RepositoryName) -> GitHubRepository:
        """Return one repository, asked anew; raises SystemFault."""
        found = self._retry.repeat(self._ask, [wanted])[wanted]
        if isinstance(found, SystemFault):
            raise found
        return found

    def name_of_number(self, number: int) -> str | None:
        """Return the full name of the repository with that number, None when there is none; once a pass."""
        if number not in self._names:
            try:
                raw = self._get(f"/repositories/{number}")
                said = f"GET /repositories/{number}"
                self._names[number] = queries.sensible(said, lambda answer: str(answer["full_name"]), raw)
            except Missing:
                self._names[number] = None
        return self._names[number]

    def default_branch(self, full_name: str) -> str:
        """Return the default branch's name, which even an empty repository has."""
        said = f"GET /repos/{full_name}"
        raw = self._get(f"/repos/{full_name}")
        return queries.sensible(said, lambda answer: str(answer["default_branch"]), raw)

    def linked_boards(self, repository_id: str) -> tuple[Board, ...]:
        """Return all boards linked to a repository."""
        return self._boards("reading linked boards", queries.LINKED_BOARDS, {"id": repository_id})

    def owned_boards(self, owner: str, title: str) -> tuple[Board, ...]:
        """Return an owner's boards whose title is exactly this one, linked to whatever."""
        found = self._boards("searching boards", queries.OWNED_BOARDS, {"login": owner, "title": title})
        return tuple(board for board in found if board.title == title)

    def board(self, board_id: str) -> Board | None:
        """Return one board, None when there is no such board (any more)."""
        try:
            data, errors = self._retry.repeat(
                self._connect().graphql, "reading a board", queries.ONE_BOARD, {"id": board_id}
            )
            _check_whole("reading a board", errors)
        except Missing:
            return None
        return queries.sensible("reading a board", lambda answer: queries.board(answer["node"]), data)

    def items_of(self, board_ids: Sequence[str]) -> Mapping[str, int]:
        """Return how many items each of these boards holds that are open; one request for a hundred."""
        found: dict[str, int] = {}
        for start in range(0, len(board_ids), 100):
            said, variables = "counting items of boards", {"ids": board_ids[start : start + 100]}
            data, errors = self._retry.repeat(self._connect().graphql, said, queries.ITEMS, variables)
            found |= queries.sensible(said, lambda raw: queries.items(raw["nodes"]), data)
            if not found and errors:
                _check_whole(said, errors)
        return found

    def hooks(self, place: str) -> tuple[Hook, ...]:
        """Return all webhooks of `repos/owner/name` or `orgs/login`, oldest first."""
        raw = self._retry.repeat(self._connect().pages, f"/{place}/hooks", {"per_page": 100})
        return queries.sensible("GET hooks", lambda answer: tuple(sorted(map(_hook, answer), key=_id)), raw)

    def deploy_keys(self, full_name: str) -> tuple[DeployKey, ...]:
        """Return all deploy keys of a repository."""
        raw = self._retry.repeat(self._connect().pages, f"/repos/{full_name}/keys", {"per_page": 100})
        return queries.sensible("GET keys", lambda answer: tuple(map(_deploy_key, answer)), raw)

    def pull_requests(self, full_name: str, *, head: str, base: str) -> tuple[PullRequest, ...]:
        """Return the pull requests from a branch of this repository into another, newest first."""
        owner = full_name.split("/", 1)[0]
        # Without the owner, GitHub ignores `head` and gives everybody's pull requests.
        params: dict[str, str | int] = {
            "state": "all",
            "head": f"{owner}:{head}",
            "base": base,
            "per_page": 100,
        }
        raw = self._retry.repeat(self._connect().pages, f"/repos/{full_name}/pulls", params)

        def parse(answer: list[dict[str, Any]]) -> tuple[PullRequest, ...]:
            ours = [each for each in answer if each["head"]["ref"] == head and each["base"]["ref"] == base]
            return tuple(sorted(map(_pull_request, ours), key=lambda each: -each.number))

        return queries.sensible("GET pulls", parse, raw)

    def branch_restrictions(self, full_name: str, branch: str) -> frozenset[str]:
        """Return the types of a branch's active rules, and `protected` when it is protected the older way.

        GitHub has both ways side by side and neither shows the other, so it is asked twice. What a write is
        answered counts all the same: a token may not be told of every rule.
        """
        quoted = quote(branch, safe="")
        path = f"/repos/{full_name}/rules/branches/{quoted}"
        said = f"reading the rules of {branch}"
        rules: list[Any] = []
        # Plans and servers without rulesets refuse to speak of them.
        with suppress(Denied, Missing):
            rules = self._retry.repeat(self._connect().pages, path, {"per_page": 100})
        types = queries.sensible(said, lambda answer: frozenset(str(rule["type"]) for rule in answer), rules)
        raw = self._get(f"/repos/{full_name}/branches/{quoted}")
        older = queries.sensible(said, lambda answer: bool(answer["protected"]), raw)
        return types | {"protected"} if older else types

    def branch_head(self, full_name: str, branch: str) -> str | None:
        """Return the commit at a branch's head, None when there is no such branch."""
        try:
            raw = self._get(f"/repos/{full_name}/git/ref/heads/{quote(branch)}")
        except Missing:
            return None
        return queries.sensible("GET ref", lambda answer: str(answer["object"]["sha"]), raw)

    def file(self, full_name: str, path: str, branch: str) -> FileContent | None:
        """Return a file on a branch, None when it is not there."""
        try:
            raw = self._get(f"/repos/{full_name}/contents/{quote(path)}", ref=branch)
        except Missing:
            return None
        return queries.sensible("GET contents", lambda answer: _file(path, answer), raw)

    def _get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - JSON as it comes
        return self._retry.repeat(self._connect().rest, "GET", path, params=params or None)

    def _connect(self) -> Connection:
        with self._connecting:
            if self._connection is None:
                # githubkit takes half a second to import: only who needs it shall wait.
                from reconciler.clients.github.connection import Connection  # noqa: PLC0415

                self._connection = Connection(self._settings)
            return self._connection

    def _boards(self, said: str, document: str, variables: Mapping[str, str]) -> tuple[Board, ...]:
        boards: list[Board] = []
        after: str | None = None
        while True:
            data, errors = self._retry.repeat(
                self._connect().graphql, said, document, {**variables, "after": after}
            )
            _check_whole(said, errors)
            page, more, following = queries.sensible(said, queries.page_of_boards, data)
            boards += page
            if not more or following == after:
                return tuple(boards)
            after = following

    def _ask(self, wanted: Sequence[RepositoryName]) -> dict[RepositoryName, Found]:
        document, variables = queries.repositories(wanted)
        said = f"reading {len(wanted)} repositories" if len(wanted) > 1 else f"reading {wanted[0].key}"
        data, errors = self._connect().graphql(said, document, variables)
        return {
            name: _found(name, data.get(f"r{index}"), _of(errors, f"r{index}"))
            for index, name in enumerate(wanted)
        }


def _check_whole(said: str, errors: Sequence[Mapping[str, Any]]) -> None:
    """Raise what a part was not told for, unless that is a single foreign thing that we may not see."""
    for error in errors:
        if not _is_hidden(error):
            fault = graphql_fault(said, [error], {})
            assert fault is not None  # noqa: S101 - there is an error
            raise fault


def _is_hidden(error: Mapping[str, Any]) -> bool:
    return len(error.get("path") or ()) > 2 and error.get("type") in {"FORBIDDEN", "NOT_FOUND"}


def _of(errors: Sequence[Mapping[str, Any]], alias: str) -> list[Mapping[str, Any]]:
    return [error for error in errors if (error.get("path") or [None])[0] == alias]


def _found(name: RepositoryName, raw: object, errors: Sequence[Mapping[str, Any]]) -> Found:
    said = f"reading {name.key}"
    for error in errors:
        fault = graphql_fault(said, [error], {})
        if isinstance(fault, TooHeavy):
            raise fault
        if raw is None and fault:
            return fault
    if raw is None:
        return Senseless(SYSTEM, f"{said} gave neither an answer nor an error")
    try:
        return queries.sensible(said, lambda answer: queries.repository(answer, _unread(errors)), raw)
    except Rejected as fault:
        return fault


def _unread(errors: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the parts that GitHub did not tell. A single foreign board that we may not see is none."""
    return frozenset(
        str(error["path"][1]) for error in errors if len(error["path"]) > 1 and not _is_hidden(error)
    )


def _id(hook: Hook) -> int:
    return hook.id


def _hook(raw: Mapping[str, Any]) -> Hook:
    config = raw["config"]
    return Hook(
        id=raw["id"],
        url=config.get("url") or "",
        content_type=config.get("content_type") or "form",
        insecure=str(config.get("insecure_ssl", "0")) != "0",
        has_secret=bool(config.get("secret")),
        active=raw["active"],
        events=frozenset(raw["events"]),
    )


def _deploy_key(raw: Mapping[str, Any]) -> DeployKey:
    return DeployKey(raw["title"], raw["key"], raw["read_only"], raw["id"])


def _pull_request(raw: Mapping[str, Any]) -> PullRequest:
    merged = raw.get("merged_at") is not None
    return PullRequest(raw["number"], raw["html_url"], "merged" if merged else raw["state"])


def _file(path: str, raw: Mapping[str, Any]) -> FileContent:
    text: str | None = None
    if raw["type"] == "file" and raw.get("encoding") == "base64":
        try:
            text = base64.b64decode(raw["content"]).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = None
    return FileContent(path, raw["sha"], text)
