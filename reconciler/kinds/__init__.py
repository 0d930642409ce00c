"""What a file in `projects/` may ask for. A kind is a folder here and one line below."""

from __future__ import annotations

from reconciler.engine.kind import Kinds
from reconciler.kinds.project.kind import PROJECT

KINDS = Kinds((PROJECT,))
