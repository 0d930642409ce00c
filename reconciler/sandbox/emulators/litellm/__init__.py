"""LiteLLM's admin API for teams and keys, as its proxy answers (facts §6; compared by `make test-live`).

Kept traps: a duplicate `team_alias` is fine and makes two teams; a duplicate team id or key alias is a 400
whose message is the repr of a dict or is not, by the route; a key's value is shown once; registering a key
again changes nothing, whatever the answer says; an unknown team id is accepted for a new key and refused for
an old one; a deleted key is still found by its hash; `metadata` is replaced as a whole; a budget without a
duration never resets; lists come newest first, in pages of at most 100 rows.
"""

from reconciler.sandbox.emulators.litellm.app import create_app

__all__ = ["create_app"]
