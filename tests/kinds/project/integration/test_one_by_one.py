"""What a pass sends to a system that is in trouble does not depend on how many projects there are."""

from __future__ import annotations

import re
from pathlib import Path

import hvac
import pytest

from reconciler.clients.retry import ATTEMPTS
from reconciler.engine.one_by_one import PATIENCE
from reconciler.kinds import KINDS
from reconciler.model.outcome import Condition
from reconciler.sandbox.faults import Fault
from reconciler.sandbox.supervisor import Sandbox
from tests.support.reconciling import cycle_of, merge
from tests.support.verdicts import of, outcomes

NAMES = [f"gear{number}" for number in range(2 * PATIENCE)]
SLUGS = {f"acme-{name}" for name in NAMES}
ALWAYS = 10_000


@pytest.fixture
def projects(clean_sandbox: Sandbox, tmp_path: Path) -> Sandbox:
    """New ones, so everything has to be read."""
    files = {name: f"repoOwner: acme\nrepoName: {name}\n" for name in NAMES}
    merge(clean_sandbox, tmp_path / "projects", **files)
    return clean_sandbox


@pytest.mark.parametrize(
    ("system", "match", "resources"),
    [
        ("auth-service", "", ("settings", "oauth", "credentials")),
        ("github", "/repos/.*/hooks", ("webhook",)),
    ],
)
def test_a_system_in_trouble_is_soon_left_alone(
    projects: Sandbox, system: str, match: str, resources: tuple[str, ...]
) -> None:
    projects.inject(Fault(system, "500", match=match, times=ALWAYS))
    mark = projects.mark()
    cycle = cycle_of(projects)
    look = cycle.look()
    asked = [
        each for each in projects.requests(mark) if each.system == system and re.search(match, each.path)
    ]
    assert len(asked) == ATTEMPTS - 1 + PATIENCE * len(resources)
    for name in resources:
        troubled = {report.slug for report in look.reports for o in report.outcomes if o.resource == name}
        assert troubled == SLUGS


def test_a_login_that_cannot_be_looked_at_is_in_the_way_of_no_other(projects: Sandbox) -> None:
    environment = projects.environment()
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"])
    for slug in ("acme-gear0", "acme-gear1"):
        vault.secrets.kv.v2.create_or_update_secret(f"mesh-six/oauth/{slug}", secret={"some": "thing"})
    vault.adapter.close()
    projects.inject(Fault("vault", "500", match="oauth/acme-gear0", times=ALWAYS))
    projects.inject(Fault("auth-service", "500", match="projects/acme-gear2", times=ALWAYS))
    reports = {report.slug: report for report in cycle_of(projects).look().reports}
    said = {slug: next(o for o in each.outcomes if o.resource == "oauth") for slug, each in reports.items()}
    assert "Vault" in said["acme-gear0"].reason
    assert "conflict" in said["acme-gear1"].reason
    assert "auth-service" in said["acme-gear2"].reason
    unread = {slug for slug, outcome in said.items() if outcome.condition is Condition.UNKNOWN}
    assert unread == {"acme-gear0", "acme-gear2"}


def test_a_pass_that_is_asked_to_stop_asks_nothing_and_changes_nothing(projects: Sandbox) -> None:
    mark = projects.mark()
    result = cycle_of(projects).run(stopping=lambda: True)
    assert {each.system for each in projects.requests(mark)} <= {"postgres"}
    everything = {resource.name for resource in KINDS["project"].resources}
    assert of(result, Condition.UNKNOWN) == dict.fromkeys(SLUGS, everything)
    assert all("asked to stop" in each.reason for each in outcomes(result, Condition.UNKNOWN))
    assert result.changes == 0
