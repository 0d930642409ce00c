"""The dev container feature as it is published: its manifest, its archive, and the workflow that does it.

Real are the dev containers' command line and npm's registry; no container is built.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reconciler.kinds.project.kind import PROJECT
from reconciler.kinds.project.manifests.pods import PodsSettings
from tests.kinds.project.support.pod import ROOT
from tests.support.npm import npm_package

SCHEMA = ROOT / "tests" / "vendored" / "devcontainers-spec" / "devContainerFeature.schema.json"
CLI = ("@devcontainers/cli", "0.89.0")


@pytest.fixture
def manifest(feature: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((feature / "devcontainer-feature.json").read_text())
    return found


def test_the_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))
    assert list(validator.iter_errors(manifest)) == []
    assert list(validator.iter_errors({**manifest, "installAfter": []}))


def test_envbuilder_can_use_it(manifest: dict[str, Any]) -> None:
    # It copies containerEnv unquoted into a Dockerfile, only upper-cases options' names, ignores the rest.
    for name, value in manifest["containerEnv"].items():
        assert re.fullmatch(r"[A-Z_]+", name)
        assert re.fullmatch(r"[A-Za-z0-9._-]+", value)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name) for name in manifest["options"])
    assert (
        not {"dependsOn", "entrypoint", "mounts", "init", "privileged", "capAdd", "securityOpt"}
        & manifest.keys()
    )


def test_it_is_what_the_settings_refer_to(manifest: dict[str, Any]) -> None:
    told = PodsSettings.model_fields["feature_reference"]
    assert told.default is None
    reference = PROJECT.sandbox_settings["pods"]["featureReference"]
    name, _, version = reference.rpartition("/")[2].partition(":")
    assert manifest["id"] == name
    assert manifest["version"].split(".")[0] == version


def test_the_default_version_is_an_exact_one_that_there_is(manifest: dict[str, Any]) -> None:
    version = manifest["options"]["claudeVersion"]["default"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    asked = ["npm", "view", f"@anthropic-ai/claude-code@{version}", "version"]
    assert subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip() == version


def test_everything_is_in_it_and_nothing_is_fetched_but_packages(feature: Path) -> None:
    files = {str(path.relative_to(feature)) for path in feature.rglob("*") if path.is_file()}
    assert files == {
        "devcontainer-feature.json", "install.sh", "share/credentials.sh", "share/entrypoint.sh",
        "share/log.sh", "share/notes.sh", "share/port.mjs", "share/recovery.sh", "share/rescue.sh",
    }  # fmt: skip
    assert (feature / "share" / "entrypoint.sh").read_bytes() == (
        ROOT / "scripts" / "implementer-entrypoint.sh"
    ).read_bytes()
    install = (feature / "install.sh").read_text()
    assert not re.search(r"\b(curl|wget)\s+-|https?://", install)


def test_the_dev_containers_program_packages_it(feature: Path, tmp_path: Path) -> None:
    program = npm_package(*CLI) / "devcontainer.js"
    out = tmp_path / "out"
    command = ["node", str(program), "features", "package", str(feature), "--output-folder", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    (archive,) = out.glob("*.tgz")
    with tarfile.open(archive) as packed:
        members = packed.getmembers()
    # Envbuilder refuses an archive with anything else, links for instance.
    assert all(member.isfile() or member.isdir() for member in members)
    assert {member.name for member in members if member.isfile()} == {
        f"./{path.relative_to(feature)}" for path in feature.rglob("*") if path.is_file()
    }
    (listed,) = json.loads((out / "devcontainer-collection.json").read_text())["features"]
    assert listed["id"] == "mesh-six-tools"


def test_the_workflow_uses_only_what_is_pinned() -> None:
    text = (ROOT / ".github" / "workflows" / "feature.yaml").read_text()
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", each)] == []
    assert yaml.safe_load(text)["env"] == {"DEVCONTAINERS_CLI": "@".join(CLI)}
