"""All kinds: those that ship, and the one that exists only to show that a kind is a folder."""

from __future__ import annotations

from reconciler.engine.kind import Kinds
from reconciler.kinds import KINDS
from tests.kinds.lamp.kind import LAMP

EVERYONE = Kinds((*KINDS.values(), LAMP))
