"""An emulator of GitHub: REST, GraphQL and real git repositories, as unkind as docs/systems/github.md says.

The seam below `/_emulator/` needs no credentials and is for the sandbox and for tests only. A body is one
object or, with `POST`, a list of them; the answer has the same shape.

    POST  /_emulator/repositories
          {owner, name, ownerType: Organization | User, defaultBranch, private, archived, empty, description,
          files: {path: text}, protection: none | classic | classic-403 | ruleset}
          Makes the repository if there is none of that name; answers id, nodeId and the rest.
    PATCH /_emulator/repositories/{owner}/{name}
          The same fields; with `name` or `owner` it is renamed or transferred. `files` are committed to the
          default branch as a person with all rights would, null removes one; `message` is the commit's.
    POST  /_emulator/pulls/{owner}/{name}/{number}/merge and …/close
    POST  /_emulator/projects
          {owner, ownerType, title, readme, shortDescription, closed, creator, repositories: ["owner/name"],
          fields: [{name, dataType, options: [{name, color, description}]}]}
    POST  /_emulator/hooks
          {repository: "owner/name", config, events, active}
    GET   /_emulator/hooks/{owner}/{name}
          What is kept, with the secrets.
    GET   /_emulator/organization-hooks/{organization}
    POST  /_emulator/keys
          {repository: "owner/name", key, title, readOnly}
    POST  /_emulator/tokens
          {token, login, kind: classic | fine-grained | app, scopes: [], permissions: {contents: write},
          repositories: {"owner/name": level}, default: level}
          level: none | read | triage | write | maintain | admin
    POST  /_emulator/installations
          {id, appId, owner, publicKey: PEM, permissions: {contents: write}, suspended}: an App's installation
    POST  /_emulator/rate_limit
          {mode: normal | primary | secondary | secondary-silent, times, status, retry_after, limit,
          forget: true}
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from reconciler.sandbox.system import Site, System

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store

GIT_FOLDER = "git/github"


def _app(store: Store, site: Site) -> Starlette:
    from reconciler.sandbox.emulators.github.app import create_app

    return create_app(store, token=site.secrets["github_token"], git_directory=site.layout[GIT_FOLDER])


SYSTEM = System(
    name="github",
    secrets={"github_token": lambda: f"ghp_{secrets.token_hex(18)}"},
    environment=lambda site: {
        "GITHUB_API_URL": site.url("github"),
        "GITHUB_TOKEN": site.secrets["github_token"],
    },
    # GitHub wants a second between writes; the emulator does not.
    sections=lambda site: {"github": {"apiUrl": site.url("github"), "writePause": 0}},
    app=_app,
    folders=(GIT_FOLDER,),
)
