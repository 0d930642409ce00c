"""The program as it is, with lamps beside the kinds that ship: `python -m tests.kinds.lamp status`."""

from __future__ import annotations

from reconciler.faces.cli.main import run
from tests.kinds.everyone import EVERYONE

if __name__ == "__main__":
    run(lambda: EVERYONE)
