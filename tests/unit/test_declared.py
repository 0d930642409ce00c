"""What has to cover every system, resource, setting or secret does so; what it lacks is named with its place.

Nothing runs here. A list that follows from the declarations needs no test; these are the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import yaml

from bench.bounds import AT_A_HUNDRED, BOUNDS
from docs.configuration import SECTIONS
from reconciler.crypto.sealing import generate_identity
from reconciler.kinds import KINDS
from reconciler.model.errors import ConfigurationError
from reconciler.sandbox import emulators
from reconciler.sandbox.environment import environment, sections
from reconciler.sandbox.servers.server import Server
from reconciler.sandbox.system import System
from reconciler.settings.giving import Sections, Settings
from tests.support import asked
from tests.support.declared import SITE, SYSTEM_OF, SYSTEMS, VARIABLES, Variable, clients
from tests.support.evidence import Made, evidence_of
from tests.support.systems import GIT

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESOURCES = {resource.name: resource for kind in KINDS.values() for resource in kind.resources}
SECRETS = {name: each for name, each in VARIABLES.items() if each.is_secret}

BESIDE_SYSTEMS = {"sealing", "serve"}
"""Sections whose secrets are the reconciler's own: no system has to know them."""
OFF_WHERE_DEPLOYED = {"oauth": "people log in by themselves there, and seal their tokens"}
"""By section: why deploy/reconciler.yaml leaves it off."""
NOTHING_KEPT = {"oauth-issuer": "a request for a login ends, and names no item"}
"""By system of the sandbox: why no inventory tells of it."""
OVER_TLS = {"GitHub", "git", "oauth issuer"}
"""Systems somewhere on the internet; deploy/network-policy.yaml lets port 443 out to everywhere."""


def complete(place: str, listed: Iterable[str], wanted: Collection[str]) -> None:
    """Fail unless what is listed in that place is exactly what is wanted."""
    found = sorted(listed)
    wrong = [f"{place} lacks {name}" for name in sorted(set(wanted) - set(found))]
    wrong += [
        f"{place} has {name}, which is not declared anywhere" for name in sorted(set(found) - set(wanted))
    ]
    wrong += [
        f"{place} has {name} twice" for name in sorted({name for name in found if found.count(name) > 1})
    ]
    assert not wrong, "; ".join(wrong)


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table of the README after that text."""
    found = re.search(r"\n\|[-|]+\|\n((?:\|.*\n)+)", README[README.index(heading) :])
    assert found
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


# -- the sandbox -----------------------------------------------------------------------------------


def test_every_emulator_and_every_server_declares_its_system() -> None:
    for found in iter_modules(emulators.__path__, f"{emulators.__name__}."):
        if found.ispkg:
            declared = getattr(import_module(found.name), "SYSTEM", None)
            assert isinstance(declared, System), f"{found.name} declares no SYSTEM"
    declared_servers = [system.server for system in SYSTEMS.values()]
    for server in Server.__subclasses__():
        assert server in declared_servers, (
            f"{server.__module__} declares no SYSTEM with server={server.__name__}"
        )


def test_no_two_systems_of_the_sandbox_share_anything() -> None:
    for what, names in {
        "secret": [name for system in SYSTEMS.values() for name in system.secrets],
        "variable": [name for system in SYSTEMS.values() for name in system.environment(SITE)],
        "section": [name for system in SYSTEMS.values() for name in system.sections(SITE)],
    }.items():
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"two systems of reconciler/sandbox declare the same {what}: {sorted(twice)}"


def test_every_variable_of_the_sandbox_is_a_setting() -> None:
    for name, system in SYSTEM_OF.items():
        assert name in VARIABLES, f"SYSTEM {system} sets {name}, which no Settings class of reconciler/ reads"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.section)
def test_every_section_is_on_in_the_sandbox(section: type[Settings]) -> None:
    made = Sections(sections(SITE, KINDS.sandbox_settings), environment(SITE)).get(section)
    where = f"in the sandbox section {section.section} is off: a SYSTEM of reconciler/sandbox has to set"
    assert made.missing() is None, f"{where} {made.missing()}"
    made.check()


@pytest.mark.parametrize(
    "variable", [each for each in VARIABLES.values() if each.is_address], ids=lambda each: each.name
)
def test_every_address_is_one_of_the_sandbox(variable: Variable) -> None:
    given = environment(SITE)
    assert variable.name in given, f"no SYSTEM of reconciler/sandbox sets {variable.name}"
    assert given[variable.name].startswith("http://127.0.0.1:")


# -- the lists of tests and benches ----------------------------------------------------------------


def test_the_bench_has_a_bound_for_every_system() -> None:
    complete("bench/bounds.py: BOUNDS", BOUNDS, SYSTEMS)
    complete("bench/bounds.py: AT_A_HUNDRED", AT_A_HUNDRED, SYSTEMS)


def test_inventories_tell_of_every_system() -> None:
    shown = [evidence_of(kind) for kind in KINDS.values()]
    made = [each.made for evidence in shown if evidence for each in evidence.resources.values()]
    listed = {system for each in made if isinstance(each, Made) for system in each.inventory}
    place = "tests/kinds: the inventories of all evidence, or NOTHING_KEPT of this test,"
    complete(place, [*listed, *NOTHING_KEPT], {*SYSTEMS, GIT})


def test_it_is_known_what_the_loss_of_a_system_means() -> None:
    place = "tests/support/asked.py:"
    complete(f"{place} READS, or NOT_ASKED,", [*asked.READS, *asked.NOT_ASKED], SYSTEMS)
    asking = {name for names in asked.READS.values() for name in names}
    complete(f"{place} READS, or NOT_ASKING,", [*asking, *asked.NOT_ASKING], RESOURCES)


# -- the README ------------------------------------------------------------------------------------


def test_the_readme_says_what_every_resource_makes() -> None:
    rows = table("## What it does, and what it never does")
    complete("README.md: the table of resources", [row[0] for row in rows], RESOURCES)
    for name, system, *_ in rows:
        expected = RESOURCES[name].system
        assert expected.lower() in system.lower(), (
            f"README.md: the row {name} of the table of resources names {system}, not {expected}"
        )


def test_the_readme_says_what_every_identity_needs() -> None:
    named = set(re.findall(r"`([A-Z_0-9]+)`", " ".join(row[1] for row in table("What each identity needs:"))))
    unknown = named - VARIABLES.keys()
    assert not unknown, f"README.md: the table of identities names {sorted(unknown)}, which nothing reads"
    for section in {each.section for each in SECRETS.values()}:
        if section.section not in BESIDE_SYSTEMS:
            of_it = sorted(name for name, each in SECRETS.items() if each.section is section)
            assert named & {*of_it}, (
                f"README.md: the table of identities has no row for {section.section}, "
                f"with one of {', '.join(of_it)}"
            )


def test_the_readme_names_every_system_of_the_sandbox() -> None:
    start = README.index("The sandbox runs")
    paragraph = README[start : README.index("\n\n", start)].lower()
    for client in clients():
        sets = [name for name in SYSTEM_OF if VARIABLES[name].section is client.settings]
        assert not sets or client.system.lower() in paragraph, (
            f"README.md: what is said of the sandbox under `Try it` does not name {client.system}"
        )


def test_every_system_has_a_page() -> None:
    pages = (ROOT / "docs" / "systems" / "README.md").read_text(encoding="utf-8")
    listed = "".join(re.findall(r"^\| \[.*", pages, re.MULTILINE)).lower().replace(" ", "")
    for client in clients():
        assert client.system.lower().replace(" ", "") in listed, (
            f"docs/systems/README.md: no page is about {client.system}"
        )


# -- deploy/ ---------------------------------------------------------------------------------------


def deployed() -> Sections:
    """Return the sections as deploy/ has them, every secret of external-secret.yaml with some value."""
    values = yaml.safe_load((DEPLOY / "reconciler.yaml").read_text(encoding="utf-8"))
    # A word that suits a header, a URL and an identity alike.
    return Sections(values, dict.fromkeys(secret_keys(), generate_identity().get_secret_value()))


def secret_keys() -> list[str]:
    external = yaml.safe_load((DEPLOY / "external-secret.yaml").read_text(encoding="utf-8"))
    return [entry["secretKey"] for entry in external["spec"]["data"]]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.section)
def test_every_section_is_set_up_where_it_is_deployed(section: type[Settings]) -> None:
    made = deployed().get(section)
    if section.section in OFF_WHERE_DEPLOYED:
        assert made.missing(), f"{__file__}: OFF_WHERE_DEPLOYED has {section.section}, which is on"
        return
    files = "deploy/reconciler.yaml, or for a secret deploy/external-secret.yaml,"
    assert made.missing() is None, f"{files} lacks {made.missing()}"
    try:
        made.check()
    except ConfigurationError as error:
        pytest.fail(f"{files} sets up section {section.section} by half: {error.remedy}")


def test_every_secret_that_is_deployed_is_mounted_and_read() -> None:
    documents = yaml.safe_load_all((DEPLOY / "deployment.yaml").read_text(encoding="utf-8"))
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    named = [each["name"].removesuffix("_FILE") for each in container["env"]]
    complete("deploy/deployment.yaml: env", named, secret_keys())
    for name in secret_keys():
        assert name in SECRETS, f"deploy/external-secret.yaml: {name} is no secret that anything reads"


def test_the_network_policy_lets_every_system_be_reached() -> None:
    policy = (DEPLOY / "network-policy.yaml").read_text(encoding="utf-8")
    ports = re.findall(r"- port: \d+ +# (.+)", policy)
    for client in clients():
        if client.settings.section not in OFF_WHERE_DEPLOYED and client.system not in OVER_TLS:
            assert any(client.system in port for port in ports), (
                f"deploy/network-policy.yaml: no port of the cluster's systems has the note # {client.system}"
            )
