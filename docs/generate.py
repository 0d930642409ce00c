"""Writes the pages that follow from the code (`make docs`)."""

from __future__ import annotations

from pathlib import Path

from docs import configuration, openapi, project_schema

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    for name, page in {
        "configuration.md": configuration.page,
        "project.schema.json": project_schema.page,
        "openapi.json": openapi.page,
    }.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
