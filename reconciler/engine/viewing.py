"""What a pass sees of the items of one kind: each is proven to be what it is before the rest is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from reconciler.clients.pass_store import Verifications
from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.engine.removing import wished
from reconciler.engine.result import KindView
from reconciler.engine.stages import observe, plan
from reconciler.model.item import Item
from reconciler.model.loaded import Loaded
from reconciler.model.removal import Leaving, OnRemove
from reconciler.settings.giving import Reading


def view(
    kind: Kind,
    resources: Sequence[AnyResource],
    members: Sequence[Item[Any]],
    loaded: Loaded,
    read: Reading,
    verifications: Verifications | None,
    places: str = "",
    leaving: Sequence[Leaving] = (),
    *,
    now: datetime,
    verify_within: timedelta,
) -> KindView:
    """Observe all resources of a kind, in order; whose a thing is depends on what the items are.

    `leaving`: items on their way out. They are read together with the others, save what is to stay of them;
    what they are is what their status file says, since nothing is done to a thing whose mark says another.
    `places`: where the systems are, as far as that tells verifications of them from those of others.
    """
    seen = KindView(kind)
    gone = {each.item.slug: each for each in leaving if each.item is not None}
    everyone = [*members, *(each.item for each in gone.values() if each.item is not None)]
    known = {slug: each.identity.proof for slug, each in gone.items() if each.identity is not None}
    proofs: Mapping[str, str] = known
    for resource in resources:
        targets = observe.targets(
            resource,
            everyone,
            loaded,
            verifications,
            proofs,
            places,
            gone.keys(),
            now=now,
            verify_within=verify_within,
        )
        asked = [
            target
            for target in targets
            if not (target.leaving and wished(resource, target.spec) is OnRemove.KEEP)
        ]
        seen = seen.with_(resource, targets, observe.observe(resource, asked, read))
        if seen.proves(resource):
            proofs = {**plan.proofs(seen), **known}
    return seen
