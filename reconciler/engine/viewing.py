"""What a pass sees of the items of one kind: each is proven to be what it is before the rest is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from reconciler.clients.pass_store import Verifications
from reconciler.engine.contract import AnyResource
from reconciler.engine.kind import Kind
from reconciler.engine.result import KindView
from reconciler.engine.stages import observe, plan
from reconciler.model.item import Item
from reconciler.model.loaded import Loaded
from reconciler.settings.giving import Reading


def view(
    kind: Kind,
    resources: Sequence[AnyResource],
    members: Sequence[Item[Any]],
    loaded: Loaded,
    read: Reading,
    verifications: Verifications | None,
    places: str = "",
    *,
    now: datetime,
    verify_within: timedelta,
) -> KindView:
    """Observe all resources of a kind, in order; whose a thing is depends on what the items are.

    `places`: where the systems are, as far as that tells verifications of them from those of others.
    """
    seen = KindView(kind)
    proofs: Mapping[str, str] = {}
    for resource in resources:
        targets = observe.targets(
            resource, members, loaded, verifications, proofs, places, now=now, verify_within=verify_within
        )
        seen = seen.with_(resource, targets, observe.observe(resource, targets, read))
        if seen.proves(resource):
            proofs = plan.proofs(seen)
    return seen
