"""What we write to GitHub: one request at a time, paced, and never repeated by itself.

A write that ends in Unavailable may have happened; its caller's next pass looks.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from reconciler.clients.github import queries
from reconciler.clients.github.account import GitHubSettings
from reconciler.clients.github.batches import Found
from reconciler.clients.github.models import Board, BoardField, PullRequest, RepositoryName
from reconciler.clients.github.reader import GitHub
from reconciler.clients.github.refusals import SYSTEM, graphql_fault
from reconciler.model.errors import Missing, Senseless
from reconciler.settings.giving import Writer


class GitHubWriter(GitHub, Writer):
    """Writes too. Nothing that it reads is kept. `clock` and `sleep` count seconds."""

    def __init__(
        self,
        settings: GitHubSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(settings)
        self._clock = clock
        self._sleep = sleep
        self._writing = threading.Lock()
        self._free_at = clock()

    def repositories(self, wanted: Iterable[RepositoryName]) -> Mapping[RepositoryName, Found]:
        """Return each repository, asked anew."""
        self._kept.clear()
        return super().repositories(wanted)

    def create_board(self, *, owner_id: str, repository_id: str, title: str) -> Board:
        """Make a board that is linked to the repository. The same twice makes two."""
        variables = {"owner": owner_id, "repository": repository_id, "title": title}
        made = self._mutate("creating a board", queries.CREATE_BOARD, variables)
        return queries.sensible("creating a board", lambda raw: queries.board(raw["projectV2"]), made)

    def update_board(self, board_id: str, *, title: str, readme: str) -> None:
        """Set title and readme at once."""
        variables = {"board": board_id, "title": title, "readme": readme}
        made = self._mutate("updating a board", queries.UPDATE_BOARD, variables)
        _confirm("updating a board", made, lambda raw: raw["projectV2"]["id"] == board_id)

    def close_board(self, board_id: str, *, closed: bool = True) -> None:
        """Close a board, which leaves the list and keeps all that it has; or reopen it."""
        said = "closing a board" if closed else "reopening a board"
        made = self._mutate(said, queries.CLOSE_BOARD, {"board": board_id, "closed": closed})
        _confirm(said, made, lambda raw: raw["projectV2"] == {"id": board_id, "closed": closed})

    def link_board(self, board_id: str, repository_id: str) -> None:
        """Link a board to a repository; linking twice is once."""
        variables = {"board": board_id, "repository": repository_id}
        made = self._mutate("linking a board", queries.LINK_BOARD, variables)
        _confirm("linking a board", made, lambda raw: raw["repository"]["id"] == repository_id)

    def create_field(self, board_id: str, name: str, options: Sequence[tuple[str, str]] = ()) -> BoardField:
        """Add a text field, or a single select one when there are options: pairs of name and color."""
        variables = {
            "board": board_id,
            "name": name,
            "type": "SINGLE_SELECT" if options else "TEXT",
            "options": list(map(_option, options)) or None,
        }
        made = self._mutate(f"creating the field {name}", queries.CREATE_FIELD, variables)
        return queries.sensible(
            "creating a field", lambda raw: queries.board_field(raw["projectV2Field"]), made
        )

    def add_options(self, field_id: str, wanted: Sequence[tuple[str, str]]) -> BoardField:
        """Add what a single select field lacks of these, pairs of name and color; return it as it is then.

        The list is written as a whole, and an option that comes without its id is a new one, whose items lose
        their value; so what is there is read at that moment, and sent as it is. An option goes before the
        next wanted one that is there, else to the end.
        """
        data, errors = self._connect().graphql("reading a field", queries.OPTIONS, {"field": field_id})
        if fault := graphql_fault("reading a field", errors, {}):
            raise fault
        options = queries.sensible("reading a field", lambda raw: list(raw["node"]["options"]), data)
        for index, option in enumerate(wanted):
            there = [each["name"] for each in options]
            if option[0] not in there:
                after = [there.index(name) for name, _ in wanted[index:] if name in there]
                options.insert(min(after, default=len(options)), _option(option))
        variables = {"field": field_id, "options": options}
        made = self._mutate("adding options to a field", queries.UPDATE_FIELD, variables)
        return queries.sensible(
            "adding options to a field", lambda raw: queries.board_field(raw["projectV2Field"]), made
        )

    def create_hook(self, place: str, *, url: str, events: Sequence[str], secret: SecretStr) -> int:
        """Make a webhook of `repos/owner/name` or `orgs/login` and return its id."""
        body = {"name": "web", "active": True, "events": list(events), "config": _config(url, secret)}
        made = self._write("POST", f"/{place}/hooks", body)
        _confirm("creating a webhook", made, lambda raw: raw["config"]["url"] == url)
        return queries.sensible("creating a webhook", lambda raw: int(raw["id"]), made)

    def update_hook(
        self,
        place: str,
        number: int,
        *,
        url: str,
        events: Sequence[str],
        secret: SecretStr | None,
        active: bool = True,
    ) -> None:
        """Set everything of a webhook in one request.

        The secret is sent wherever there is one: GitHub removes the one that an update leaves out.
        """
        body = {"active": active, "events": list(events), "config": _config(url, secret)}
        made = self._write("PATCH", f"/{place}/hooks/{number}", body)
        _confirm(
            "updating a webhook",
            made,
            lambda raw: (raw["id"], raw["config"]["url"], raw["active"]) == (number, url, active),
        )

    def delete_hook(self, place: str, number: int) -> None:
        """Remove a webhook; nothing happens when it is gone."""
        made = None
        with suppress(Missing):
            made = self._write("DELETE", f"/{place}/hooks/{number}", None)
        # As of a deploy key, what a 204 says is looked at.
        gone = made is None and number not in {each.id for each in self.hooks(place)}
        _confirm("removing a webhook", gone, bool)

    def create_deploy_key(self, full_name: str, *, title: str, key: str) -> None:
        """Register a public key that may read and write."""
        sent = {"title": title, "key": key, "read_only": False}
        made = self._write("POST", f"/repos/{full_name}/keys", sent)
        _confirm("adding a deploy key", made, lambda raw: raw["key"].split()[:2] == key.split()[:2])

    def delete_deploy_key(self, full_name: str, number: int) -> None:
        """Remove a deploy key."""
        made = self._write("DELETE", f"/repos/{full_name}/keys/{number}", None)
        # GitHub says that this is done with a 204, as anybody may; so it is looked at.
        gone = made is None and number not in {each.number for each in self.deploy_keys(full_name)}
        _confirm("removing a deploy key", gone, bool)

    def put_file(
        self, full_name: str, path: str, *, text: str, message: str, branch: str | None, replaces: str | None
    ) -> None:
        """Commit one file. `branch` None: the default one, also of an empty repository.

        `replaces`: the blob that is there; None when nothing is. Collision when something else is there.
        """
        body = {"message": message, "content": base64.b64encode(text.encode()).decode()}
        body |= {"branch": branch} if branch else {}
        body |= {"sha": replaces} if replaces else {}
        made = self._write("PUT", f"/repos/{full_name}/contents/{quote(path)}", body)
        _confirm(
            "committing a file", made, lambda raw: raw["content"]["path"] == path and raw["commit"]["sha"]
        )

    def create_branch(self, full_name: str, branch: str, commit: str) -> None:
        """Make a branch at a commit. Collision when there is one of that name."""
        sent = {"ref": f"refs/heads/{branch}", "sha": commit}
        made = self._write("POST", f"/repos/{full_name}/git/refs", sent)
        _confirm(
            "making a branch",
            made,
            lambda raw: (raw["ref"], raw["object"]["sha"]) == (sent["ref"], commit),
        )

    def create_pull_request(
        self, full_name: str, *, title: str, body: str, head: str, base: str
    ) -> PullRequest:
        """Open a pull request. Collision when there is an open one between these branches."""
        sent = {"title": title, "body": body, "head": head, "base": base}
        made = self._write("POST", f"/repos/{full_name}/pulls", sent)
        return queries.sensible(
            "creating a pull request", lambda raw: PullRequest(raw["number"], raw["html_url"], "open"), made
        )

    def _write(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - JSON
        with self._turn():
            return self._connect().rest(method, path, json=body)

    def _mutate(self, said: str, document: str, variables: Mapping[str, Any]) -> object:
        with self._turn():
            data, errors = self._connect().graphql(said, document, variables)
        if fault := graphql_fault(said, errors, {}):
            raise fault
        return data.get("made")  # which is read by whoever knows what it has to be

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one write through at a time, and none sooner than the pause after the last one."""
        with self._writing:
            if (wait := self._free_at - self._clock()) > 0:
                self._sleep(wait)
            try:
                yield
            finally:
                self._free_at = self._clock() + self._settings.write_pause


def _confirm(said: str, made: object, confirms: Callable[[Any], object]) -> None:
    """Raise Senseless unless the answer tells of what was asked for: else nobody knows what came of it."""
    if not queries.sensible(said, confirms, made):
        raise Senseless(SYSTEM, f"{said} was not answered with what it was for")


def _option(option: tuple[str, str]) -> dict[str, str]:
    name, color = option
    return {"name": name, "color": color, "description": ""}


def _config(url: str, secret: SecretStr | None) -> dict[str, str]:
    given = {"secret": secret.get_secret_value()} if secret else {}
    return {"url": url, "content_type": "json", "insecure_ssl": "0", **given}
