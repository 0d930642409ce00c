"""The fields of a file of kind `lamp`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.model.item import Spec, Strict, slug_of


class Shade(Strict):
    """What is around the bulb."""

    colour: str = "white"
    """Its colour."""


class LampSpec(Spec):
    """A file of kind `lamp`."""

    kind: Literal["lamp"]
    """What the file asks for."""
    room: Annotated[str, Field(max_length=40)]
    """Where it stands; no two lamps stand in one room."""
    shade: Shade = Shade()
    """What is around the bulb."""

    def default_slug(self) -> str:
        return slug_of(self.room)

    def claim(self) -> str:
        return f"room {self.room.lower()}"
