"""Where the files are that are shipped beside the code: `templates` and `migrations`."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Return the folder of that name: within the package when it came from a wheel, else in the checkout."""
    packed = _HERE / "_shipped" / name
    return packed if packed.is_dir() else _HERE.parent / name
