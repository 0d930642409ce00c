"""What docs/deployment.md shows does what it says: files are built, admitted, and tried on a real Vault."""

from __future__ import annotations

import posixpath
import re
import shutil
import textwrap

import pytest
from pydantic import SecretStr

from reconciler.clients.vault import VaultWriter
from reconciler.model.errors import Denied
from tests.integration.conftest import VaultCorner
from tests.kinds.project.support.deployed import DEPLOY, ROOT, Document, built, load, one
from tests.support import crd
from tests.support.git_server import git


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """What docs/deployment.md shows, with `deploy` fetched from a git repository."""
    folder = tmp_path_factory.mktemp("another")
    shutil.copytree(DEPLOY, folder / "origin" / "deploy")
    git(folder / "origin", "init", "-q", "--initial-branch=main")
    git(folder / "origin", "add", "-A")
    git(folder / "origin", "commit", "-q", "-m", "base")
    git(folder / "origin", "tag", "v0.1.0")
    (folder / "overlay").mkdir()
    for name in ("kustomization.yaml", "secrets.yaml"):
        text = re.sub(r"https://\S+?//", f"file://{folder}/origin//", shown(name))
        (folder / "overlay" / name).write_text(text)
    own = "config:\n  repository: https://github.com/acme/mesh-six-projects.git\n"
    (folder / "overlay" / "reconciler.yaml").write_text(own)
    return built(folder / "overlay")


def shown(name: str) -> str:
    """Return the file of that name that docs/deployment.md shows."""
    page = (ROOT / "docs" / "deployment.md").read_text()
    (block,) = re.findall(rf"^( +)# {re.escape(name)}\n((?:\1.*\n|\n(?=\1))+)", page, re.MULTILINE)
    return textwrap.dedent(block[1])


def test_another_repository_can_build_on_it(overlay: list[Document]) -> None:
    (config,) = (each for each in overlay if each["kind"] == "ConfigMap")
    assert "acme/mesh-six-projects" in config["data"]["reconciler.yaml"]
    pod = one(overlay, "Deployment")["spec"]["template"]["spec"]
    assert config["metadata"]["name"] in [each.get("configMap", {}).get("name") for each in pod["volumes"]]
    (container,) = pod["containers"]
    assert "@sha256:" in container["image"]
    secret = one(overlay, "ExternalSecret")["spec"]
    keys = [entry["secretKey"] for entry in secret["data"]]
    assert sorted(posixpath.basename(each["value"]) for each in container["env"]) == sorted(keys)
    assert "LITELLM_ADMIN_KEY" not in keys
    assert secret["target"]["name"] == "onboarding-service"
    assert one(overlay, "PrometheusRule")


def test_the_shown_application_is_admitted() -> None:
    package = ("@kubernetes-models/argo-cd", "4.0.0")
    validator = "ComGithubArgoprojArgoCdV3PkgApisApplicationV1alpha1Application"
    assert crd.complaints(package, validator, load(shown("application.yaml"))) == []


def test_the_shown_vault_policy_is_enough_and_not_more(vault: VaultCorner) -> None:
    mine = VaultWriter.connect(vault.sections())
    mine.write("mesh-six/onboarding-service", {"GITHUB_TOKEN": SecretStr("x")}, cas=0, metadata={})
    token = vault.token(shown("policy.hcl").replace("secret/", "MOUNT/"))
    limited = VaultWriter.connect(vault.sections(token=token))
    for folder in ("webhooks", "envs", "oauth"):
        path = f"mesh-six/{folder}/acme-widgets"
        for version in (1, 2):
            limited.write(
                path, {"secret": SecretStr("x")}, cas=version - 1, metadata={"version": str(version)}
            )
        assert limited.names(f"mesh-six/{folder}") == {"acme-widgets"}
        found = limited.read(path)
        assert found is not None
        assert (found.version, found.metadata) == (2, {"version": "2"})
    limited.delete("mesh-six/oauth/acme-widgets")
    for refused in (
        lambda: limited.read("mesh-six/onboarding-service"),
        lambda: limited.write("mesh-six/onboarding-service", {}, cas=1, metadata={"mine": "no"}),
        lambda: limited.delete("mesh-six/webhooks/acme-widgets"),
    ):
        with pytest.raises(Denied):
            refused()
