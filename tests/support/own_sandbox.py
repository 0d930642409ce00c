"""A sandbox that is its user's alone and is gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.kinds import KINDS
from reconciler.sandbox.supervisor import Sandbox


@contextmanager
def own_sandbox() -> Iterator[Sandbox]:
    """Start a sandbox that is gone when the block ends."""
    # Not in a folder that is closed to the user that PostgreSQL needs when root runs this; pytest's are.
    directory = Path(tempfile.mkdtemp(prefix="mesh-six-proof-"))
    running = Sandbox(directory / ".sandbox")
    try:
        running.up(settings=KINDS.sandbox_settings)
        yield running
    finally:
        running.down()
        shutil.rmtree(directory, ignore_errors=True)
