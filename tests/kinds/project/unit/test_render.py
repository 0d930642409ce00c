"""The environment's manifests as text and as values: what is in them, when, and that no value breaks out."""

from __future__ import annotations

import os
import pwd
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import fast_yaml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import Inputs, all_files, mark_in, render_environment
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import ConfigurationError
from reconciler.model.mark import Mark

SLUG = "acme-widgets"
ALL = Inputs(
    identity="7",
    branch="main",
    git_access="ssh-ed25519 AAAA",
    llm_key="1 of 2026",
)


def project(**fields: Any) -> ProjectSpec:
    return ProjectSpec.model_validate({"repoOwner": "acme", "repoName": "widgets", **fields})


def pods(**values: Any) -> PodsSettings:
    return PodsSettings.load({"gatewayUrl": "http://litellm.litellm", **values}, {})


def documents(content: bytes) -> list[Any]:
    return [each for each in fast_yaml.safe_load_all(content) if each is not None]


def rendered(spec: ProjectSpec, inputs: Inputs = ALL, **values: Any) -> dict[str, list[Any]]:
    files = render_environment(spec, SLUG, pods(**values), inputs)
    return {name: documents(content) for name, content in files.items()}


def pod(files: dict[str, list[Any]]) -> Any:
    return files["statefulset.yaml"][0]["spec"]["template"]["spec"]


def environment(files: dict[str, list[Any]]) -> dict[str, Any]:
    variables = pod(files)["containers"][0]["env"]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in variables}


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render_environment(project(), SLUG, pods(), ALL) == render_environment(
        project(), SLUG, pods(), ALL
    )


def test_the_letter_case_is_githubs_and_a_new_name_nobodys_guess() -> None:
    told = ALL.model_copy(update={"repository": "acme/widgets"})
    files = render_environment(project(repoOwner="ACME", repoName="Widgets"), SLUG, pods(), told)
    assert files == render_environment(project(), SLUG, pods(), ALL)
    renamed = ALL.model_copy(update={"repository": "acme/gears"})
    assert render_environment(project(), SLUG, pods(), renamed) == files


def test_every_file_is_listed_and_known() -> None:
    files = rendered(project(), extraSecrets="mesh-six/pods/{slug}")
    listed = files["kustomization.yaml"][0]["resources"]
    assert listed == sorted(files.keys() - {"kustomization.yaml"})
    assert files.keys() <= all_files()


def test_a_login_and_a_gateway_key_are_never_handed_over_together() -> None:
    login = environment(rendered(project()))
    assert "ANTHROPIC_AUTH_TOKEN" not in login
    assert "ANTHROPIC_BASE_URL" not in login
    assert login["MESH_SIX_AUTH_SERVICE_URL"] == "http://auth-service"
    key = environment(rendered(project(skipAuth=True, litellm={"defaultModel": "claude-x"})))
    assert key["ANTHROPIC_AUTH_TOKEN"]["secretKeyRef"]["name"] == "env-acme-widgets"
    assert key["ANTHROPIC_MODEL"] == "claude-x"
    assert not any(name.startswith("MESH_SIX_AUTH") for name in key)


@pytest.mark.parametrize(
    ("fields", "inputs", "values"),
    [
        ({"skipAuth": True, "skipLiteLLM": True}, ALL, {}),
        ({"skipAuth": True}, Inputs(identity="7", branch="main", git_access="ssh-ed25519 AAAA"), {}),
        ({"skipAuth": True}, ALL, {"gatewayUrl": None}),
    ],
)
def test_without_a_gateway_no_key_is_asked_of_vault(fields: Any, inputs: Inputs, values: Any) -> None:
    files = rendered(project(**fields), inputs, **values)
    assert "ANTHROPIC_AUTH_TOKEN" not in environment(files)
    assert [each["secretKey"] for each in files["external-secret.yaml"][0]["spec"]["data"]] == [
        "git-private-key"
    ]


def test_secrets_are_asked_for_where_the_reconciler_keeps_them() -> None:
    files = rendered(project(skipAuth=True))
    asked = [each["remoteRef"]["key"] for each in files["external-secret.yaml"][0]["spec"]["data"]]
    # A store that names no mount takes it from the key; one that does takes it off again.
    assert asked == [
        f"secret/data/{vault_paths.ENVIRONMENTS}/{SLUG}.git-access",
        f"secret/data/{vault_paths.ENVIRONMENTS}/{SLUG}.llm-key",
    ]
    mounted = rendered(
        project(), ALL.model_copy(update={"vault_mount": "kv/team"}), extraSecrets="pods/{slug}"
    )
    keys = [each["remoteRef"]["key"] for each in mounted["external-secret.yaml"][0]["spec"]["data"]]
    assert keys == [f"kv/team/data/{vault_paths.ENVIRONMENTS}/{SLUG}.git-access"]
    assert (
        mounted["extra-secret.yaml"][0]["spec"]["dataFrom"][0]["extract"]["key"]
        == f"kv/team/data/pods/{SLUG}"
    )


@pytest.mark.parametrize("written", ["x/y", "secret/x/y", "secret/data/x/y"])
def test_a_vault_path_is_understood_however_it_is_written(written: str) -> None:
    assert vault_paths.for_external_secrets("secret", written) == "secret/data/x/y"


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        # A mounted file follows its Secret; a variable does not, so its pod has to be replaced.
        ("git_access", {"external-secret.yaml"}),
        ("llm_key", {"external-secret.yaml", "statefulset.yaml"}),
    ],
)
def test_a_new_secret_has_the_operator_read_it_now(field: str, changed: set[str]) -> None:
    spec = project(skipAuth=True)
    before = render_environment(spec, SLUG, pods(), ALL)
    after = render_environment(spec, SLUG, pods(), ALL.model_copy(update={field: "2 of 2027"}))
    assert {name for name in before if before[name] != after[name]} == changed
    for name in changed - {"statefulset.yaml"}:
        old, new = (documents(each[name])[0]["metadata"]["annotations"] for each in (before, after))
        assert old.keys() == new.keys()
        assert old != new


def test_a_pod_never_takes_the_gateway_key_of_before() -> None:
    for version in ("1 of 2026", "2 of 2027"):
        files = rendered(project(skipAuth=True), ALL.model_copy(update={"llm_key": version}))
        wanted = environment(files)["ANTHROPIC_AUTH_TOKEN"]["secretKeyRef"]["key"]
        given = [each["secretKey"] for each in files["external-secret.yaml"][0]["spec"]["data"]]
        assert given == ["git-private-key", wanted]


def test_a_gateway_key_that_is_not_handed_over_changes_nothing() -> None:
    rotated = ALL.model_copy(update={"llm_key": "2 of 2027"})
    assert rendered(project(), rotated) == rendered(project())


def test_the_public_key_is_not_repeated_in_the_manifests() -> None:
    files = render_environment(project(skipAuth=True), SLUG, pods(), ALL)
    assert b"AAAA" not in files["external-secret.yaml"]


def test_a_project_with_no_secret_has_no_external_secret_and_clones_over_https() -> None:
    files = rendered(project(skipAuth=True, skipLiteLLM=True), Inputs(identity="7", branch="main"))
    assert files.keys() == {
        "dapr.yaml", "kustomization.yaml", "network-policy.yaml", "pvc.yaml", "service.yaml",
        "service-account.yaml", "statefulset.yaml",
    }  # fmt: skip
    assert environment(files)["ENVBUILDER_GIT_URL"] == "https://github.com/acme/widgets#refs/heads/main"
    assert [each["name"] for each in pod(files)["volumes"]] == ["worktrees", "claude-session"]


def test_the_only_read_only_mount_is_where_envbuilder_leaves_it_alone() -> None:
    mounts = pod(rendered(project()))["containers"][0]["volumeMounts"]
    assert [each["mountPath"] for each in mounts if each.get("readOnly")] == ["/var/run/mesh-six"]


def test_the_clone_checks_the_host_key() -> None:
    files = rendered(project())
    variables = environment(files)
    assert variables["ENVBUILDER_GIT_URL"] == "ssh://git@github.com/acme/widgets.git#refs/heads/main"
    assert variables["SSH_KNOWN_HOSTS"] == "/var/run/mesh-six/git/known_hosts"
    assert files["known-hosts.yaml"][0]["data"]["known_hosts"].startswith("github.com ssh-ed25519 ")


def test_nothing_shared_reaches_the_pod_unless_a_setting_names_it() -> None:
    assert "envFrom" not in pod(rendered(project()))["containers"][0]
    files = rendered(project(), extraSecrets="mesh-six/pods/{slug}")
    assert pod(files)["containers"][0]["envFrom"] == [{"secretRef": {"name": "env-acme-widgets.extra"}}]
    source = files["extra-secret.yaml"][0]["spec"]["dataFrom"]
    assert source == [{"extract": {"key": "secret/data/mesh-six/pods/acme-widgets"}}]


def test_no_variable_of_ours_is_an_option_that_envbuilder_takes_without_its_prefix() -> None:
    ours = {name for name in environment(rendered(project())) if not name.startswith("ENVBUILDER_")}
    assert ours == {
        "SSH_KNOWN_HOSTS", "GIT_SSH_COMMAND", "CLAUDE_CONFIG_DIR", "MESH_SIX_PROJECT", "MESH_SIX_REPOSITORY",
        "MESH_SIX_WORKTREES", "MESH_SIX_AUTH_SERVICE_URL", "MESH_SIX_AUTH_TOKEN_FILE", "MESH_SIX_APP_PORT",
    }  # fmt: skip


def test_the_entrypoint_is_told_the_port_that_dapr_and_the_service_name() -> None:
    files = rendered(project(), daprAppPort=3456)
    annotations = files["statefulset.yaml"][0]["spec"]["template"]["metadata"]["annotations"]
    assert environment(files)["MESH_SIX_APP_PORT"] == annotations["dapr.io/app-port"] == "3456"
    assert [each["port"] for each in files["service.yaml"][0]["spec"]["ports"]] == [3456]
    assert "MESH_SIX_APP_PORT" in environment(rendered(project(), dapr=False))
    assert "MESH_SIX_APP_PORT" not in environment(rendered(project(), daprAppPort=None))


@pytest.mark.parametrize(
    ("path", "folder", "file"),
    [
        (".devcontainer/devcontainer.json", ".devcontainer", "devcontainer.json"),
        (".devcontainer.json", ".", ".devcontainer.json"),
        (".devcontainer/go/devcontainer.json", ".devcontainer/go", "devcontainer.json"),
    ],
)
def test_envbuilder_is_told_which_file_it_builds(path: str, folder: str, file: str) -> None:
    variables = environment(rendered(project(), Inputs(identity="7", branch="main", devcontainer=path)))
    assert variables["ENVBUILDER_DEVCONTAINER_DIR"] == folder
    assert variables["ENVBUILDER_DEVCONTAINER_JSON_PATH"] == file


def test_a_cache_belongs_to_one_repository() -> None:
    names = [
        ("Acme", "Widgets"),
        ("acme-widgets", "x"),
        ("acme", "widgets-x"),
        ("acme", ".github"),
        ("acme", "github"),
    ]
    caches = set()
    for owner, name in names:
        files = rendered(project(repoOwner=owner, repoName=name), cacheRepository="registry.example/cache")
        cache = environment(files)["ENVBUILDER_CACHE_REPO"]
        assert cache == cache.lower()
        caches.add(cache)
    assert len(caches) == len(names)
    assert "registry.example/cache/acme/widgets" in caches


HOSTILE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60)
# What `str.isprintable` allows, drawn as such: a filter would throw away most of what is drawn.
PRINTABLE = st.characters(codec="utf-8", exclude_categories=["C", "Z"], include_characters=" ")


@settings(max_examples=40, deadline=None)
@given(branch=HOSTILE, name=st.text(PRINTABLE, min_size=1, max_size=60).filter(str.strip))
def test_hostile_text_stays_text(branch: str, name: str) -> None:
    spec = project(displayName=name)
    text = render_environment(
        spec, SLUG, pods(dapr=False), Inputs(identity="7", branch=branch, git_access="ssh-ed25519 AAAA")
    )
    files = {"statefulset.yaml": documents(text["statefulset.yaml"])}
    annotations = files["statefulset.yaml"][0]["metadata"]["annotations"]
    assert annotations["mesh-six.bto.bar/display-name"] == name
    # The kubelet turns `$$` back into `$`, and would read `$(X)` as a variable.
    url = environment(files)["ENVBUILDER_GIT_URL"].replace("$$", "$")
    assert url == f"ssh://git@github.com/acme/widgets.git#refs/heads/{branch}"


@pytest.mark.parametrize(
    "text",
    [
        "{{ slug }}",
        "{% raw %}",
        "a: b",
        "- x",
        "# no",
        '"',
        "'",
        "$(HOME)",
        "\\",
        "é😀",
        "null",
        "true",
        "1e3",
        "a\u2028b",
    ],
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    files = rendered(project(litellm={"defaultModel": "m"}), Inputs(identity="7", branch=text))
    assert environment(files)["ENVBUILDER_GIT_URL"].replace("$$", "$").endswith(f"#refs/heads/{text}")
    assert "{{" not in files["service.yaml"][0]["metadata"]["name"]


def policy(files: dict[str, list[Any]]) -> Any:
    return files["network-policy.yaml"][0]["spec"]


def networks(files: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Return what may be reached by address: networks, and what is left out of each."""
    blocks = [to["ipBlock"] for rule in policy(files)["egress"] for to in rule["to"] if "ipBlock" in to]
    return {block["cidr"]: block.get("except", []) for block in blocks}


def services(files: dict[str, list[Any]]) -> set[tuple[str, str]]:
    """Return name and namespace of the pods that may be reached, but DNS."""
    found = set()
    for rule in policy(files)["egress"]:
        for to in rule["to"]:
            if "podSelector" in to and "ports" not in rule:
                (label,) = to["podSelector"]["matchExpressions"]
                space = to.get("namespaceSelector", {}).get("matchExpressions", [{"values": [""]}])
                found.add((label["values"][0], space[0]["values"][0]))
    return found


def test_nobody_gets_into_an_environment_and_it_reaches_nothing_private() -> None:
    files = rendered(project())
    assert policy(files)["policyTypes"] == ["Ingress", "Egress"]
    assert policy(files)["ingress"] == []
    private = ["10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fd00:ec2::254"]
    for address in map(ip_address, private):
        for network, left_out in networks(files).items():
            inside = address in ip_network(network)
            assert not inside or any(address in ip_network(each) for each in left_out), address
    assert any(ip_address("140.82.121.4") in ip_network(each) for each in networks(files))
    told = networks(rendered(project(), networks=["10.7.0.0/16"]))
    assert told["10.7.0.0/16"] == []
    asked = policy(rendered(project(), healthUrl="http://env-{slug}:3000/readyz"))["ingress"]
    assert [each["ports"] for each in asked] == [[{"port": 3000}]]
    assert policy(rendered(project(), healthUrl="http://x", daprAppPort=None))["ingress"] == []


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("http://auth-service", {("auth-service", "")}),
        ("http://auth-service:3000/x", {("auth-service", "")}),
        ("http://auth-service.mesh-six", {("auth-service", "mesh-six")}),
        ("http://auth-service.mesh-six.svc.cluster.local", {("auth-service", "mesh-six")}),
        ("https://auth.example.com", set()),
        ("http://10.0.0.5:3000", set()),
        ("http://[fd00::10]:3000", set()),
        ("http://a_b:3000", set()),
        ("http://2130706433", set()),
    ],
)
def test_a_service_of_the_cluster_is_reached_by_its_pods(url: str, reached: set[tuple[str, str]]) -> None:
    assert services(rendered(project(), authServiceUrl=url)) == reached
    # A pod with the gateway's key asks no auth-service.
    assert services(rendered(project(skipAuth=True), authServiceUrl=url)) == {("litellm", "litellm")}


def test_daprs_sidecar_is_closed_unless_somebody_else_says_what_is_open() -> None:
    files = rendered(project())
    (configuration,) = files["dapr.yaml"]
    annotations = files["statefulset.yaml"][0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["dapr.io/config"] == configuration["metadata"]["name"] == f"env-{SLUG}"
    spec = configuration["spec"]
    assert spec["accessControl"]["defaultAction"] == "deny"
    assert {(each["name"], each["protocol"]) for each in spec["api"]["allowed"]} == {
        ("metadata", "http"),
        ("metadata", "grpc"),
    }
    theirs = rendered(project(), daprConfiguration="open")
    assert "dapr.yaml" not in theirs
    annotations = theirs["statefulset.yaml"][0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["dapr.io/config"] == "open"
    without = rendered(project(), dapr=False)
    assert "dapr.yaml" not in without
    assert "dapr-system" not in str(policy(without))


def test_the_longest_slug_fits_every_limit() -> None:
    slug = "a" * 48
    files = render_environment(project(), slug, pods(extraSecrets="x"), ALL)
    for content in files.values():
        for document in documents(content):
            # A StatefulSet's pods carry its name and a hash of ten characters in a label, which may have 63.
            name = document["metadata"].get("name", "")
            # A claim is the one that may have the 253 characters of a subdomain.
            longest = {"StatefulSet": 52, "PersistentVolumeClaim": 253}.get(document["kind"], 63)
            assert len(name) <= longest


def objects(slug: str, identity: str) -> set[tuple[str, str]]:
    """Return kind and name of all that is rendered, and of the Secrets that operators make of it."""
    inputs = ALL.model_copy(update={"identity": identity})
    settings = pods(extraSecrets="x")
    spec = project(skipAuth=True)
    files = render_environment(spec, slug, settings, inputs)
    made = [document for content in files.values() for document in documents(content)]
    named = {(each["kind"], each["metadata"]["name"]) for each in made if "name" in each["metadata"]}
    targets = {each["spec"]["target"]["name"] for each in made if each["kind"] == "ExternalSecret"}
    return named | {("Secret", name) for name in targets}


def test_no_two_environments_have_an_object_of_one_name() -> None:
    mine = objects("foo", "7")
    suffixes = {name.removeprefix("env-foo").lstrip("-.") for _, name in mine} - {""}
    assert len(suffixes) >= 4
    for suffix in {*suffixes, *(suffix.replace(".", "-") for suffix in suffixes), "0", "7"}:
        slug = f"foo-{suffix}".replace(".", "-")
        assert mine.isdisjoint(objects(slug, "8")), slug
    # Volumes outlive what else there is: those of the repository that had the slug before stay its own.
    claims = {name for kind, name in mine if kind == "PersistentVolumeClaim"}
    assert claims.isdisjoint(name for _, name in objects("foo", "8"))


def test_the_marker_is_recognised_whatever_a_formatter_did_to_it() -> None:
    content = render_environment(project(), SLUG, pods(), ALL)["kustomization.yaml"]
    mark = Mark("project", SLUG, "7")
    assert mark_in(content) == mark.words()
    assert mark_in(content.replace(b'"', b"'")) == mark.words()
    assert mark_in(content.replace(b'"', b"").replace(b"    ", b"      ")) == mark.words()
    assert mark_in(b"resources: []\n# mesh-six.bto.bar/managed-by: mesh-six-reconciler\n") == {}
    assert mark_in(b"") == {}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"envbuilderImage": "ghcr.io/coder/envbuilder"}, "pinned"),
        ({"envbuilderImage": "ghcr.io/coder/envbuilder:latest"}, "pinned"),
        ({"devcontainerImage": "localhost:5000/base"}, "pinned"),
        ({"cacheRepository": "registry.example/Cache"}, "lower case"),
        ({"featureReference": "a.example/mesh-six-tools:1"}, "before nodeFeature"),
        ({"gitHost": "git.example"}, "knownHosts"),
        ({"startupMinutes": 0}, "startupMinutes"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
    ],
)
def test_settings_that_could_not_run_are_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        pods(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"envbuilderImage": "localhost:5000/envbuilder:1.3.0@sha256:" + "0" * 64},
        {"featureReference": "a.example/mesh-six-tools:1", "nodeFeature": None},
        {"gitHost": "git.example", "knownHosts": ["git.example ssh-ed25519 AAAA"]},
        {"cacheRepository": None, "dapr": False, "storageClass": "fast", "networks": ["10.0.0.0/8"]},
    ],
)
def test_settings_that_can_run_are_taken(values: dict[str, Any]) -> None:
    assert render_environment(project(), SLUG, pods(**values), ALL)


def test_root_follows_no_link_that_the_sessions_user_made(tmp_path: Path) -> None:
    script = environment(rendered(project()))["ENVBUILDER_SETUP_SCRIPT"].replace("$$", "$")
    work, victim, mine = tmp_path / "workspaces", tmp_path / "victim", tmp_path / "claude"
    for folder in (work, victim):
        folder.mkdir()
    (work / "worktrees").symlink_to(victim)
    before = victim.stat()
    user = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "nobody"
    variables = {"PATH": os.environ["PATH"], "TARGET_USER": user, "CLAUDE_CONFIG_DIR": str(mine)}
    script = script.replace("/workspaces", str(work))
    subprocess.run(["/bin/sh", "-euc", script], env=variables, check=True)
    assert (victim.stat().st_uid, victim.stat().st_mode) == (before.st_uid, before.st_mode)
    for folder in (work / "worktrees", mine):
        assert folder.is_dir()
        assert not folder.is_symlink()
        assert folder.owner() == user
    subprocess.run(["/bin/sh", "-euc", script], env=variables, check=True)
