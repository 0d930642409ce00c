"""Where the repositories are: one or two, from the file or the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.git.locations import (
    ConfigRepositorySettings,
    ManifestRepositorySettings,
    config_location,
    manifest_location,
)
from reconciler.model.errors import ConfigurationError
from reconciler.settings.giving import Sections

WORK = {"directory": "/var/cache/mesh-six"}


def test_one_repository_serves_both() -> None:
    sections = Sections(
        {"work": WORK}, {"CONFIG_REPOSITORY": "/srv/config.git", "CONFIG_REPOSITORY_TOKEN": "t"}
    )
    config, manifests = config_location(sections), manifest_location(sections)
    assert config.is_same(manifests)
    assert manifests.token is not None
    assert config.clones == Path("/var/cache/mesh-six/clones")


def test_the_same_address_twice_is_one_repository_and_keeps_its_token() -> None:
    sections = Sections(
        {"work": WORK, "manifests": {"repository": "https://git.example/x.git"}},
        {"CONFIG_REPOSITORY": "https://git.example/x", "CONFIG_REPOSITORY_TOKEN": "t"},
    )
    manifests = manifest_location(sections)
    assert manifests.is_same(config_location(sections))
    assert manifests.token is not None


def test_two_repositories_or_two_branches_are_two() -> None:
    for manifests in ({"repository": "/srv/manifests.git"}, {"branch": "deploy"}):
        sections = Sections(
            {"work": WORK, "config": {"repository": "/srv/c.git"}, "manifests": manifests}, {}
        )
        assert not manifest_location(sections).is_same(config_location(sections))


def test_no_repository_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="CONFIG_REPOSITORY"):
        config_location(Sections({}, {}))


@pytest.mark.parametrize("address", ["relative/path", "https://me:password@git.example/x", "x.git"])
def test_an_address_is_absolute_and_has_no_password(address: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Sections({"config": {"repository": address}}, {}).get(ConfigRepositorySettings)
    assert "password@" not in str(raised.value)


@pytest.mark.parametrize("path", ["../x", "/k8s", "", ".git/hooks", "a/../../b"])
def test_manifests_stay_inside_the_repository(path: str) -> None:
    with pytest.raises(ConfigurationError):
        Sections({"manifests": {"path": path}}, {}).get(ManifestRepositorySettings)
