"""The JSON Schema of project files, as `reconcile schema` prints it."""

from __future__ import annotations

import json

from reconciler.engine.schema import json_schema
from reconciler.kinds import KINDS


def page() -> str:
    """Return the text of project.schema.json."""
    return json.dumps(json_schema(KINDS), indent=2) + "\n"
