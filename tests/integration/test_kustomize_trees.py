"""What the trees say of kustomize is what kustomize does."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.kubectl import kubectl
from tests.support.kustomize_trees import KustomizeTree, kustomize_trees

NOWHERE = "http://127.0.0.1:1"


def builds(folder: Path, tree: KustomizeTree) -> bool:
    for name, content in tree.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for name, target in tree.links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    environment = {
        "HOME": str(folder),
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "GIT_ALLOW_PROTOCOL": "none",
    }
    command = [str(kubectl()), "kustomize", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0


def test_kustomize_builds_what_is_said_and_refuses_the_rest(tmp_path: Path) -> None:
    kubectl()
    trees = kustomize_trees()
    folders = [tmp_path / str(number) / "base" for number in range(len(trees))]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(trees, pool.map(builds, folders, trees.values()), strict=True))
    assert found == {name: tree.builds for name, tree in trees.items()}
