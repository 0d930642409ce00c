"""Where the program begins. The only module that knows both the kinds and the faces that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.faces.cli.main import run

if TYPE_CHECKING:
    from reconciler.engine.kind import Kinds


def all_kinds() -> Kinds:
    """Return the kinds. Imported late: they bring every client's library along, which `--help` needs not."""
    from reconciler.kinds import KINDS

    return KINDS


def main() -> None:
    """Run the command line."""
    run(all_kinds)


if __name__ == "__main__":
    main()
