"""What a kind shows beside what is shown of every kind: routes of its own, tools of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from reconciler.engine.kind import Kind
from reconciler.faces.catalogue import Beside
from reconciler.faces.desk import Desk
from reconciler.faces.mcp.tool import Tool


@dataclass(frozen=True)
class KindFace:
    """`prefix`: the path below which its routes are; nobody gets there without a token.

    `beside`: what it reads together with the items, from elsewhere than git. `tag`: its name and sentence in
    the description of the API.
    """

    prefix: str
    tag: tuple[str, str]
    routes: Callable[[Desk], APIRouter]
    tools: Callable[[Desk], Sequence[Tool]] = lambda desk: ()
    beside: Beside | None = None


def face_of(kind: Kind) -> KindFace | None:
    """Return a kind's face; None for a kind that shows nothing of its own."""
    if kind.face is None:
        return None
    made = kind.face()
    assert isinstance(made, KindFace)  # noqa: S101 - what `Kind.face` promises; the engine knows no faces
    return made
