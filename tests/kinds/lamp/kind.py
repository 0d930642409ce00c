"""What the kind `lamp` declares."""

from __future__ import annotations

from reconciler.engine.kind import Kind
from tests.kinds.lamp.resources import BULB, DAWN, Bulb, Glow, LampManifests, LampNotice
from tests.kinds.lamp.spec import LampSpec

LAMP = Kind(
    name="lamp",
    spec=LampSpec,
    resources=(LampManifests, LampNotice, Bulb, Glow),
    waits=(BULB, DAWN),
    after_commit=DAWN,
)
