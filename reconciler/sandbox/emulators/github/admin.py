"""The seam below `/_emulator/`: what people and GitHub itself would do, for the sandbox and for tests.

`create_app`'s docstring lists the calls. None of them is a request of GitHub's API; none says that it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.emulators.github import hooks, keys, node_ids, pulls, rest_apps
from reconciler.sandbox.emulators.github.boards import Boards
from reconciler.sandbox.emulators.github.errors import GraphQLRefusal, Refusal, not_found
from reconciler.sandbox.emulators.github.rate_limit import Mood
from reconciler.sandbox.emulators.github.world import World

Document = dict[str, Any]
PREFIX = "/_emulator"
PERSON = "a-person"


class Admin:
    """One method for each kind of thing; each takes one wish and returns what is kept."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[Route]:
        """Return the routes of the seam."""
        return [
            Route(f"{PREFIX}/repositories", self._each(self.add_repository), methods=["POST"]),
            Route(f"{PREFIX}/repositories/{{owner}}/{{repo}}", self._patch, methods=["PATCH"]),
            Route(f"{PREFIX}/pulls/{{owner}}/{{repo}}/{{number:int}}/{{what}}", self._pull, methods=["POST"]),
            Route(f"{PREFIX}/projects", self._each(self.add_board), methods=["POST"]),
            Route(f"{PREFIX}/hooks", self._each(self.add_hook), methods=["POST"]),
            Route(f"{PREFIX}/hooks/{{owner}}/{{repo}}", self._hooks, methods=["GET"]),
            Route(f"{PREFIX}/organization-hooks/{{organization}}", self._organization_hooks, methods=["GET"]),
            Route(f"{PREFIX}/keys", self._each(self.add_key), methods=["POST"]),
            Route(f"{PREFIX}/tokens", self._each(self.add_token), methods=["POST"]),
            Route(f"{PREFIX}/installations", self._each(self.add_installation), methods=["POST"]),
            Route(f"{PREFIX}/rate_limit", self._rate_limit, methods=["POST"]),
        ]

    def add_repository(self, wish: Mapping[str, Any]) -> Document:
        """Make a repository if there is none of that name."""
        return _public(self._world.repositories.ensure(wish))

    def change_repository(self, owner: str, name: str, wish: Mapping[str, Any]) -> Document:
        """Rename, transfer, archive, delete, protect…; `files` are committed past every protection."""
        repository = self._repository(owner, name)
        if wish.get("deleted"):
            self._world.repositories.forget(repository)
            return {"deleted": True}
        if wish.get("files"):
            files = {path: text if text is None else text.encode() for path, text in wish["files"].items()}
            branch = repository["defaultBranch"]
            message = wish.get("message", "Change files")
            self._world.git.commit_files(
                repository, branch, files, message, (PERSON, f"{PERSON}@example.com")
            )
        changed: Document = {key: value for key, value in wish.items() if key not in {"files", "message"}}
        if "owner" in changed:
            changed["ownerType"] = self._world.repositories.ensure_owner(
                str(changed["owner"]), str(changed.get("ownerType") or repository["ownerType"])
            )["type"]
        self._world.repositories.touch({**repository, **changed})
        return _public(self._repository(wish.get("owner", owner), wish.get("name", name)))

    def add_board(self, wish: Mapping[str, Any]) -> Document:
        """Make a board, linked and with fields."""
        boards: Boards = self._world.boards
        kind = wish.get("ownerType", "Organization")
        owner = self._world.repositories.ensure_owner(wish["owner"], kind)
        board = boards.create(owner, wish["title"], wish.get("creator", PERSON))
        for key in ("readme", "shortDescription", "closed", "public"):
            board[key] = wish.get(key, board[key])
        board["items"] = wish.get("items", 0)
        for field in wish.get("fields", []):
            options = field.get("options", [])
            if there := next((one for one in board["fields"] if one["name"] == field["name"]), None):
                boards.update_field(board, there, None, options)
            else:
                boards.create_field(board, field["name"], field["dataType"], options)
        for full_name in wish.get("repositories", []):
            boards.link(board, self._repository(*full_name.split("/")))
        boards.save(board)
        place = "orgs" if owner["type"] == "Organization" else "users"
        path = f"/{place}/{owner['login']}/projects/{board['number']}"
        return {**board, "nodeId": node_ids.encode(node_ids.BOARD, board["id"]), "path": path}

    def add_hook(self, wish: Mapping[str, Any]) -> Document:
        """Make a hook without a ping."""
        repository = self._repository(*wish["repository"].split("/"))
        active = wish.get("active", True)
        events = wish.get("events", ["push"])
        return hooks.create(self._world, str(repository["id"]), wish["config"], events, active=active)

    def add_key(self, wish: Mapping[str, Any]) -> Document:
        """Add a deploy key."""
        repository = self._repository(*wish["repository"].split("/"))
        read_only = wish.get("readOnly", True)
        return keys.create(
            self._world, repository["id"], wish["key"], wish.get("title", ""), PERSON, read_only=read_only
        )

    def add_token(self, wish: Mapping[str, Any]) -> Document:
        """Add a token with limited rights."""
        return {"login": self._world.identities.add(wish).login}

    def add_installation(self, wish: Mapping[str, Any]) -> Document:
        """Install a GitHub App."""
        return rest_apps.add_installation(self._world, dict(wish))

    def _repository(self, owner: str, name: str) -> Document:
        found = self._world.repositories.find(owner, name)
        if found is None:
            raise not_found()
        return found

    def _each(self, act: Callable[[Mapping[str, Any]], Document]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            wish = await request.json()
            try:
                if isinstance(wish, list):
                    return JSONResponse([act(one) for one in wish])
                return JSONResponse(act(wish))
            except Refusal as refusal:
                return JSONResponse(refusal.body(), refusal.status)
            except GraphQLRefusal as refusal:
                return JSONResponse({"message": str(refusal)}, 422)

        return respond

    async def _patch(self, request: Request) -> Response:
        wish = await request.json()
        parameters = request.path_params

        def act(given: Mapping[str, Any]) -> Document:
            return self.change_repository(parameters["owner"], parameters["repo"], given)

        return _answered(act, wish)

    async def _pull(self, request: Request) -> Response:
        parameters = request.path_params

        def act(_: Mapping[str, Any]) -> Document:
            repository = self._repository(parameters["owner"], parameters["repo"])
            pull = pulls.find(self._world, repository, parameters["number"])
            if pull is None or parameters["what"] not in {"merge", "close"}:
                raise not_found()
            if parameters["what"] == "merge":
                return pulls.merge(self._world, repository, pull, PERSON)
            return pulls.close(self._world, repository, pull)

        return _answered(act, {})

    async def _organization_hooks(self, request: Request) -> Response:
        owner = self._world.repositories.owner(request.path_params["organization"])
        return JSONResponse(hooks.all_of(self._world, f"org-{owner['id']}") if owner else [])

    async def _hooks(self, request: Request) -> Response:
        repository = self._repository(request.path_params["owner"], request.path_params["repo"])
        return JSONResponse(hooks.all_of(self._world, str(repository["id"])))

    async def _rate_limit(self, request: Request) -> Response:
        wish = await request.json()
        limits = self._world.limits
        limits.limit = wish.pop("limit", limits.limit)
        if wish.pop("forget", False):
            limits.forget()
        limits.mood = Mood(**wish)
        return JSONResponse({"limit": limits.limit, "mode": limits.mood.mode})


def _answered(act: Callable[[Mapping[str, Any]], Document], wish: Mapping[str, Any]) -> Response:
    try:
        return JSONResponse(act(wish))
    except Refusal as refusal:
        return JSONResponse(refusal.body(), refusal.status)


def _public(repository: Document) -> Document:
    return {**repository, "nodeId": node_ids.encode(node_ids.REPOSITORY, repository["id"])}
