"""Whose a thing outside is: what we write at everything that we make, and what a mark found there says.

A mark holds kind and slug, and the proof of what the item is (a repository's number), so that a slug which is
used again does not inherit what the one before had. Knows no system: each client has a place of its own for
these words. A status file is no mark: people can write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MANAGER = "mesh-six-reconciler"


class Whose(StrEnum):
    """What the mark of a thing says to the item that looks at it.

    `UNPROVEN`: it has the slug and no proof, as marks had none once, and the status file knows the item; its
    mark is renewed. `ANOTHERS`: we made it for an item that had this slug before, or nothing says that we did
    not. `FOREIGN`: it has no mark of ours.
    """

    OURS = "ours"
    UNPROVEN = "unproven"
    ANOTHERS = "anothers"
    FOREIGN = "foreign"

    @property
    def ours(self) -> bool:
        """Whether it may be used and changed."""
        return self in {Whose.OURS, Whose.UNPROVEN}

    @property
    def history(self) -> str:
        """The end of a sentence about a thing that is in the way: "there is a secret that …"."""
        return "we did not make" if self is Whose.FOREIGN else "we made for another one"


def marked(found: Mapping[str, object], kind: str, manager: str = "managed-by") -> tuple[str, str] | None:
    """Return slug and identity of the item of that kind whose mark was found; None for no mark of ours."""
    slug, proof = found.get(kind), found.get("identity", "")
    if found.get(manager) != MANAGER or not isinstance(slug, str) or not isinstance(proof, str):
        return None
    return slug, proof


@dataclass(frozen=True)
class Mark:
    """The mark of one item. `proof`: "" for a kind that has none.

    `remembered`: the status file says that the item was this very thing before. That proves nothing by
    itself: it only tells whose a thing is that has our slug and a mark from before marks had a proof.
    """

    kind: str
    slug: str
    proof: str = ""
    remembered: bool = False

    def words(self, manager: str = "managed-by") -> dict[str, str]:
        """Return the mark as keys and values; `manager`: the key of the first, as the place spells it."""
        proof = {"identity": self.proof} if self.proof else {}
        return {manager: MANAGER, self.kind: self.slug, **proof}

    def whose(self, found: Mapping[str, object], manager: str = "managed-by") -> Whose:
        """Read what was found in the place of a mark."""
        if found.get(manager) != MANAGER or self.kind not in found:
            return Whose.FOREIGN
        if found[self.kind] != self.slug:
            return Whose.ANOTHERS
        proof = found.get("identity", "")
        if proof == self.proof:
            return Whose.OURS
        return Whose.UNPROVEN if not proof and self.remembered else Whose.ANOTHERS
