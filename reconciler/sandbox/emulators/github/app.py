"""The emulator as one application: which address leads to which function."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from reconciler.sandbox.emulators.github import (
    rest_apps,
    rest_contents,
    rest_git,
    rest_hooks,
    rest_keys,
    rest_pulls,
    rest_repositories,
)
from reconciler.sandbox.emulators.github.admin import Admin
from reconciler.sandbox.emulators.github.boards import Boards
from reconciler.sandbox.emulators.github.call import Answer, Call, Endpoint, Handler, endpoint
from reconciler.sandbox.emulators.github.errors import not_found
from reconciler.sandbox.emulators.github.git_store import GitStore
from reconciler.sandbox.emulators.github.graphql_server import GraphQLServer
from reconciler.sandbox.emulators.github.identity import Identities
from reconciler.sandbox.emulators.github.rate_limit import RateLimits
from reconciler.sandbox.emulators.github.repositories import Repositories
from reconciler.sandbox.emulators.github.world import World
from reconciler.sandbox.emulators.store import Store

ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
OF_REPOSITORY: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "", rest_repositories.get_repository),
    ("GET", "/branches", rest_repositories.list_branches),
    ("GET", "/branches/{branch:path}/protection", rest_repositories.get_branch_protection),
    ("GET", "/branches/{branch:path}", rest_repositories.get_branch),
    ("GET", "/rules/branches/{branch:path}", rest_repositories.get_branch_rules),
    ("GET", "/collaborators/{username}/permission", rest_repositories.collaborator_permission),
    ("GET", "/readme", rest_contents.get_readme),
    ("GET", "/contents/{path:path}", rest_contents.get_contents),
    ("PUT", "/contents/{path:path}", rest_contents.put_contents),
    ("DELETE", "/contents/{path:path}", rest_contents.delete_contents),
    ("GET", "/git/ref/{ref:path}", rest_git.get_ref),
    ("POST", "/git/refs", rest_git.create_ref),
    ("PATCH", "/git/refs/{ref:path}", rest_git.update_ref),
    ("DELETE", "/git/refs/{ref:path}", rest_git.delete_ref),
    ("GET", "/pulls", rest_pulls.list_pulls),
    ("POST", "/pulls", rest_pulls.create_pull),
    ("GET", "/pulls/{number:int}", rest_pulls.get_pull),
    ("PATCH", "/pulls/{number:int}", rest_pulls.update_pull),
    ("PUT", "/pulls/{number:int}/merge", rest_pulls.merge_pull),
    ("GET", "/hooks", rest_hooks.list_hooks),
    ("POST", "/hooks", rest_hooks.create_hook),
    ("GET", "/hooks/{hook:int}", rest_hooks.get_hook),
    ("PATCH", "/hooks/{hook:int}", rest_hooks.update_hook),
    ("DELETE", "/hooks/{hook:int}", rest_hooks.delete_hook),
    ("GET", "/hooks/{hook:int}/config", rest_hooks.get_config),
    ("PATCH", "/hooks/{hook:int}/config", rest_hooks.update_config),
    ("POST", "/hooks/{hook:int}/pings", rest_hooks.ping_hook),
    ("GET", "/hooks/{hook:int}/deliveries", rest_hooks.list_deliveries),
    ("GET", "/hooks/{hook:int}/deliveries/{delivery:int}", rest_hooks.get_delivery),
    ("GET", "/keys", rest_keys.list_keys),
    ("POST", "/keys", rest_keys.create_key),
    ("GET", "/keys/{key:int}", rest_keys.get_key),
    ("DELETE", "/keys/{key:int}", rest_keys.delete_key),
)


HOOKS = tuple(route for route in OF_REPOSITORY if route[1].startswith("/hooks"))


def create_app(
    store: Store,
    *,
    token: str,
    git_directory: Path | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """Return the emulator, over a store and a folder of bare repositories (None: a temporary one).

    REST answers under `/` and `/api/v3`, GraphQL at `/graphql` and `/api/graphql`. `token` may do everything.
    What people do is done below `/_emulator/`, see the package's docstring.
    """
    folder = git_directory or Path(tempfile.mkdtemp(prefix="github-emulator-"))
    folder.mkdir(parents=True, exist_ok=True)
    repositories = Repositories(store, clock)
    world = World(
        store=store,
        clock=clock,
        repositories=repositories,
        git=GitStore(folder, clock),
        boards=Boards(store, repositories),
        identities=Identities(store, token, clock),
        limits=RateLimits(clock),
    )
    graphql = GraphQLServer(world).endpoint()
    app = Starlette(
        routes=[
            *(Route(path, graphql, methods=["POST"]) for path in ("/graphql", "/api/graphql")),
            *Admin(world).routes(),
            *_rest(world),
        ]
    )
    # A slash at the end is a 404, not a redirect.
    app.router.redirect_slashes = False
    if git_directory is None:
        weakref.finalize(app, shutil.rmtree, folder, ignore_errors=True)
    return app


def _rest(world: World) -> list[Route]:
    fixed = [
        Route(f"{prefix}{path}", wrapped, methods=[method])
        for prefix in ("", "/api/v3")
        for method, path, wrapped in (
            ("GET", "/user", endpoint(world, rest_repositories.viewer)),
            ("GET", "/rate_limit", endpoint(world, rest_repositories.rate_limit, free=True)),
            ("GET", "/repos/{owner}/{repo}/installation", _of_app(world, rest_apps.get_installation)),
            (
                "POST",
                "/app/installations/{installation:int}/access_tokens",
                _of_app(world, rest_apps.create_token),
            ),
        )
    ]
    of_repository = [
        Route(f"{prefix}{place}{suffix}", endpoint(world, handler), methods=[method])
        for prefix in ("", "/api/v3")
        for place in ("/repos/{owner}/{repo}", "/repositories/{repository_id:int}")
        for method, suffix, handler in OF_REPOSITORY
    ]
    of_organization = [
        Route(f"{prefix}/orgs/{{organization}}{suffix}", endpoint(world, handler), methods=[method])
        for prefix in ("", "/api/v3")
        for method, suffix, handler in HOOKS
    ]
    nothing = Route("/{rest:path}", endpoint(world, _nothing), methods=ANY_METHOD)
    return [*fixed, *of_repository, *of_organization, nothing]


def _of_app(world: World, handler: Handler) -> Endpoint:
    return endpoint(world, handler, free=True, own_login=True)


def _nothing(_: Call) -> Answer:
    raise not_found()
