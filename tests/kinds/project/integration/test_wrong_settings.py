"""A wrong address or mount destroys nothing, is told, and is forgotten once it is put right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from reconciler.engine.result import ALARM
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import cycle_of, merge, settle_at_once, status
from tests.support.systems import Systems

NAMES = ("gears", "pumps", "bolts")
OURS = ("webhooks/{}", "envs/{}.llm-key", "envs/{}.git-access")


@pytest.fixture
def systems(clean_sandbox: Sandbox, tmp_path: Path) -> Iterator[Systems]:
    files = {name: f"repoOwner: acme\nrepoName: {name}\nskipAuth: true\n" for name in NAMES}
    merge(clean_sandbox, tmp_path / "projects", **files)
    assert settle_at_once(clean_sandbox).exit_code == 0
    with closing(Systems(clean_sandbox)) as made:
        yield made


@contextmanager
def mounted(sandbox: Sandbox, name: str) -> Iterator[None]:
    """Have the configuration name another mount."""
    path = sandbox.configuration_file()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("mount: secret\n", f"mount: {name}\n"), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def secrets(systems: Systems) -> list[object]:
    return [systems.secret(f"mesh-six/{each.format(f'acme-{name}')}") for name in NAMES for each in OURS]


def deploy_keys(systems: Systems) -> list[str]:
    return sorted(map(str, systems.store("github").items("github.deploy-keys")))


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_wrong_mount_rotates_nothing(clean_sandbox: Sandbox, systems: Systems, version: str) -> None:
    mount = f"other{version}"
    systems.vault.sys.enable_secrets_engine("kv", path=mount, options={"version": version})
    before = secrets(systems), deploy_keys(systems), status(clean_sandbox, "acme-gears")
    try:
        with mounted(clean_sandbox, mount):
            result = cycle_of(clean_sandbox).run()
            assert result.changes == 0
            assert result.exit_code == (ALARM if version == "2" else 1)
            assert result.commits == ()
        assert (secrets(systems), deploy_keys(systems), status(clean_sandbox, "acme-gears")) == before
        assert settle_at_once(clean_sandbox).exit_code == 0
    finally:
        systems.vault.sys.disable_secrets_engine(mount)


def test_what_is_really_lost_is_made_anew_when_told_so(clean_sandbox: Sandbox, systems: Systems) -> None:
    old = deploy_keys(systems)
    for name in NAMES:
        for each in OURS:
            systems.vault.secrets.kv.v2.delete_metadata_and_all_versions(
                f"mesh-six/{each.format(f'acme-{name}')}"
            )
    result = cycle_of(clean_sandbox).run()
    assert result.exit_code == ALARM
    assert any("--make-anew 'Vault'" in problem for problem in result.problems)
    assert deploy_keys(systems) == old
    cycle_of(clean_sandbox).run(make_anew=frozenset({"Vault", "git-access"}))
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert all(secrets(systems))
    new = deploy_keys(systems)
    assert len(new) == len(old)
    assert new != old


def test_a_single_thing_that_somebody_deleted_is_made_anew(clean_sandbox: Sandbox, systems: Systems) -> None:
    systems.vault.secrets.kv.v2.delete_metadata_and_all_versions("mesh-six/webhooks/acme-gears")
    assert settle_at_once(clean_sandbox).exit_code == 0
    assert all(secrets(systems))


def test_back_at_the_right_place_everything_is_looked_at(clean_sandbox: Sandbox, systems: Systems) -> None:
    places = "SELECT DISTINCT places FROM reconciler_item_verifications"
    (before,) = systems.rows(places)
    systems.vault.sys.enable_secrets_engine("kv", path="other", options={"version": "2"})
    try:
        with mounted(clean_sandbox, "other"):
            cycle_of(clean_sandbox).run(make_anew=frozenset({"Vault", "git-access"}))
            assert systems.rows(places) != [before]
        assert settle_at_once(clean_sandbox).exit_code == 0
        assert systems.rows(places) == [before]
        # What GitHub has now is what is here, and not what was made at the wrong place.
        registered = deploy_keys(systems)
        for name in NAMES:
            found = systems.secret(f"mesh-six/envs/acme-{name}.git-access")
            assert found is not None
            assert any(found[1]["custom_metadata"]["public-key"].split()[1] in key for key in registered)
    finally:
        systems.vault.sys.disable_secrets_engine("other")
