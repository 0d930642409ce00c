"""LiteLLM's admin API for teams and keys, as its proxy answers; `make test-live` compares the two.

Kept traps: a duplicate `team_alias` is fine and makes two teams; a duplicate team id or key alias is a 400
whose message is the repr of a dict or is not, by the route; a key's value is shown once; registering a key
again changes nothing, whatever the answer says; an unknown team id is accepted for a new key and refused for
an old one; a deleted key is still found by its hash; `metadata` is replaced as a whole; a budget without a
duration never resets; lists come newest first, in pages of at most 100 rows.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from reconciler.sandbox.system import Site, System

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from reconciler.sandbox.emulators.store import Store


def _app(store: Store, site: Site) -> Starlette:
    from reconciler.sandbox.emulators.litellm.app import create_app

    return create_app(store, admin_key=site.secrets["litellm_admin_key"])


SYSTEM = System(
    name="litellm",
    secrets={"litellm_admin_key": lambda: f"sk-{secrets.token_hex(16)}"},
    environment=lambda site: {
        "LITELLM_URL": site.url("litellm"),
        "LITELLM_ADMIN_KEY": site.secrets["litellm_admin_key"],
    },
    sections=lambda site: {"litellm": {"url": site.url("litellm")}},
    app=_app,
)
