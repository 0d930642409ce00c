"""Custom objects against the schema of their definition, as npm's `@kubernetes-models` packages ship it."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from tests.support.npm import npm_package

SCRIPT = """
const {{ validate }} = await import({path});
const chunks = []; for await (const chunk of process.stdin) chunks.push(chunk);
const wrong = JSON.parse(Buffer.concat(chunks)).flatMap((item) => validate(item) ? [] : [validate.errors]);
console.log(JSON.stringify(wrong));
"""


def complaints(package: tuple[str, str], validator: str, documents: list[dict[str, Any]]) -> list[Any]:
    """Return what the schema says against each document that it does not admit."""
    node = shutil.which("node")
    assert node, "node is needed to run the schema's validator"
    module = npm_package(*package) / "_schemas" / f"{validator}.js"
    done = subprocess.run(
        [node, "--input-type=module", "-e", SCRIPT.format(path=json.dumps(module.as_uri()))],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return found
