"""Pods, and the servers that all integration tests share; each test gets a corner of its own in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import (  # noqa: F401 - pytest finds fixtures by their names here
    _without_pauses,
    bucket,
    database,
    empty_database,
    extended_database,
    postgres_server,
    s3_server,
    vault,
    vault_server,
)
from tests.kinds.project.support.pod import Pod, assembled, git, pod
from tests.kinds.project.support.pod_service import Service, auth_service_for_pods
from tests.kinds.project.support.volume import Volume


@pytest.fixture(scope="session")
def feature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the dev container feature, as it is published."""
    return assembled(tmp_path_factory.mktemp("feature") / "mesh-six-tools")


@pytest.fixture
def auth() -> Iterator[Service]:
    """An auth-service for pods; it knows no project yet."""
    with auth_service_for_pods() as service:
        yield service


@pytest.fixture
def environment_pod(feature: Path, auth: Service, tmp_path: Path) -> Iterator[Pod]:
    """A pod with the right token, not started."""
    with pod(feature, tmp_path / "pod", auth.url) as made:
        made.token_file.write_text(auth.token())
        yield made


@pytest.fixture
def volume(tmp_path: Path, feature: Path) -> Iterator[Volume]:
    """A pod's volume with a clone of one commit; whatever is done there, no object may go missing."""
    made = Volume(tmp_path / "workspaces", feature)
    made.clone.mkdir(parents=True)
    git(made.clone, "init", "-q", "-b", "main")
    for name in ("readme", "code", "old"):
        (made.clone / name).write_text(f"{name}\n")
    (made.clone / ".gitignore").write_text("ignored\n")
    git(made.clone, "add", ".")
    git(made.clone, "commit", "-q", "-m", "One")
    yield made
    git(made.clone, "fsck", "--no-dangling", "--connectivity-only")
