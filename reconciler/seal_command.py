"""Handing over a login: takes tokens from a person, seals them to the reconciler, and commits the entry."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.cycle import Cycle
from reconciler.errors import Conflict, UnknownProject, UsageError
from reconciler.gitops.edits import Fate, HumanEntry
from reconciler.gitops.repository import Repository
from reconciler.model.loaded import Loaded
from reconciler.model.status_file import mapping
from reconciler.resources.login import SEALED, SECTION
from reconciler.sealing import Refusal, read_tokens, seal

FORM = "give JSON with accessToken, refreshToken and expiresAt, or the Claude CLI's credentials file"


def seal_tokens(cycle: Cycle, slug: str, content: bytes, *, only_print: bool) -> str:
    """Return the sealed entry, or the sentence that says where it was committed."""
    text = sealed_entry(cycle.load(), slug, content, datetime.now(UTC))
    if only_print:
        return text.rstrip("\n")
    commit = commit_entry(cycle.repositories.config, slug, text)
    return f"sealed and committed as {commit[:10]}; the next pass stores them"


def sealed_entry(loaded: Loaded, slug: str, content: bytes, now: datetime) -> str:
    """Return the tokens sealed for the request that a project's status file makes.

    UnknownProject, Conflict when it asks for no tokens, UsageError when these are none or past their time.
    """
    status = loaded.statuses.get(slug)
    if status is None:
        known = ", ".join(sorted(loaded.statuses)) or "none yet"
        raise UnknownProject(f"no project called {slug} has a status file", remedy=f"known: {known}")
    request = mapping(status.get(SECTION))
    recipient, request_id = request.get("recipient"), request.get("requestId")
    if not isinstance(recipient, str) or not isinstance(request_id, str):
        remedy = "run a pass first; a project with skipAuth takes none"
        raise Conflict(f"{slug} does not ask for tokens", remedy=remedy)
    tokens = read_tokens(content.decode("utf-8", "replace"))
    if isinstance(tokens, Refusal):
        raise UsageError(f"the tokens cannot be sealed: {tokens.sentence}", remedy=FORM)
    if tokens.expires_at <= now:
        sentence = Refusal.EXPIRED.sentence
        raise UsageError(f"the tokens cannot be sealed: {sentence}", remedy="log in once more")
    return seal(recipient, tokens, slug=slug, request_id=request_id)


def commit_entry(config: Repository, slug: str, text: str) -> str:
    """Commit a sealed entry to the project's status file and return the commit's id."""
    edit = HumanEntry(slug=slug, path=f"status/{slug}.yaml", section=SECTION, key=SEALED, value=text)
    result = config.push([edit], f"Seal OAuth tokens for {slug}")
    for written in result.outcomes:
        if written.fate is not Fate.APPLIED:
            raise UsageError(f"nothing was committed: {written.reason}", remedy="look at the status file")
    return result.commit
