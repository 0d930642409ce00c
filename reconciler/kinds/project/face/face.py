"""Puts together what a project shows of its own. Imported when a service starts, and by no pass."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.faces.catalogue import Beside
from reconciler.faces.kind_face import KindFace
from reconciler.kinds.project.face.routes import PREFIX, TAG, router
from reconciler.kinds.project.face.tools import tools
from reconciler.kinds.project.run_row import Recorded
from reconciler.kinds.project.tables.run_ledger import RunTable
from reconciler.model.errors import NotConfigured
from reconciler.settings.giving import Reading


def recorded(read: Reading) -> Mapping[str, Recorded]:
    """Return what only the table knows of runs; nothing without a database."""
    try:
        return read.get(RunTable).recorded()
    except NotConfigured:
        return {}


FACE = KindFace(
    prefix=PREFIX, tag=TAG, routes=router, tools=tools, beside=Beside("PostgreSQL", recorded, empty={})
)
