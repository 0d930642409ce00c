"""The description of the HTTP API, as the service gives it at `/openapi.json`."""

from __future__ import annotations

import json

from reconciler.engine.cycle import Cycle
from reconciler.faces.http.app import application
from reconciler.faces.http.run import service_of
from reconciler.kinds import KINDS
from reconciler.settings.giving import Sections
from reconciler.settings.program import ServeSettings


def page() -> str:
    """Return the text of openapi.json."""
    sections = Sections({"config": {"repository": "https://github.com/acme/mesh-six-projects.git"}}, {})
    app = application(service_of(Cycle(sections, KINDS), ServeSettings()))
    return json.dumps(app.openapi(), indent=2) + "\n"
