"""`reconcile seal`: takes tokens from a person, seals them to the reconciler, and commits the entry."""

from __future__ import annotations

from reconciler.cycle import Cycle
from reconciler.errors import UsageError
from reconciler.gitops.edits import Fate, HumanEntry
from reconciler.model.status_file import mapping
from reconciler.sealing import Refusal, read_tokens, seal

SECTION, KEY = "oauth", "sealed"
FORM = "give JSON with accessToken, refreshToken and expiresAt, or the Claude CLI's credentials file"


def seal_tokens(cycle: Cycle, slug: str, content: bytes, *, only_print: bool) -> str:
    """Return the sealed entry, or the sentence that says where it was committed."""
    loaded = cycle.load()
    status = loaded.statuses.get(slug)
    if status is None:
        known = ", ".join(sorted(loaded.statuses)) or "none yet"
        raise UsageError(f"no project called {slug} has a status file", remedy=f"known: {known}")
    request = mapping(status.get(SECTION))
    recipient, request_id = request.get("recipient"), request.get("requestId")
    if not isinstance(recipient, str) or not isinstance(request_id, str):
        remedy = "run a pass first; a project with skipAuth takes none"
        raise UsageError(f"{slug} does not ask for tokens", remedy=remedy)
    tokens = read_tokens(content.decode("utf-8", "replace"))
    if isinstance(tokens, Refusal):
        raise UsageError(f"the tokens cannot be sealed: {tokens.sentence}", remedy=FORM)
    text = seal(recipient, tokens, slug=slug, request_id=request_id)
    if only_print:
        return text.rstrip("\n")
    edit = HumanEntry(slug=slug, path=f"status/{slug}.yaml", section=SECTION, key=KEY, value=text)
    result = cycle.repositories.config.push([edit], f"Seal OAuth tokens for {slug}")
    for written in result.outcomes:
        if written.fate is not Fate.APPLIED:
            raise UsageError(f"nothing was committed: {written.reason}", remedy="look at the status file")
    return f"sealed and committed as {str(result.commit)[:10]}; the next pass stores them"
