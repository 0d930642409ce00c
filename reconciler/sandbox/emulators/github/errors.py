"""GitHub's refusals: the bodies that REST answers with, and the `type` of GraphQL errors.

Knows no route and no state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class Refusal(Exception):
    """An answer other than success. `errors` becomes the `errors` array of a 422."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the JSON body; `status` is a string, as GitHub sends it."""
        listed = {"errors": self.errors} if self.errors else {}
        return {
            "message": self.message,
            **listed,
            "documentation_url": DOCUMENTATION,
            "status": str(self.status),
        }


class GraphQLRefusal(Exception):
    """A GraphQL error with GitHub's top-level `type`; the rest of the answer stays valid."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def not_found() -> Refusal:
    """Return the 404 that also hides what the token may not see."""
    return Refusal(404, "Not Found")


def not_supplied(field: str) -> Refusal:
    """Return the 422 of a missing body field; it has no `errors` array."""
    return Refusal(422, f'Invalid request.\n\n"{field}" wasn\'t supplied.')


def validation_failed(resource: str, code: str, *, field: str = "", message: str = "") -> Refusal:
    """Return a 422 with one entry in `errors`; `code` is GitHub's, such as `invalid` or `custom`."""
    entry = {"resource": resource, "code": code}
    if field:
        entry["field"] = field
    if message:
        entry["message"] = message
    return Refusal(422, "Validation Failed", errors=[entry])


def archived() -> Refusal:
    """Return what every write to an archived repository gets."""
    return Refusal(403, "Repository was archived so is read-only.")


def inaccessible(kind: str, accepted: str) -> Refusal:
    """Return the 403 of an App or fine-grained token without a permission; `accepted` is `contents=write`."""
    whom = "integration" if kind == "app" else "personal access token"
    return Refusal(
        403,
        f"Resource not accessible by {whom}",
        headers={"X-Accepted-GitHub-Permissions": accepted},
    )
