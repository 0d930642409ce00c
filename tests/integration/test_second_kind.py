"""A kind without any repository goes the whole way beside the others, and shows in every face."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.engine.cycle import Cycle
from reconciler.engine.kind import Kind, Kinds
from reconciler.engine.schema import json_schema
from reconciler.model.item import ItemId
from reconciler.sandbox.supervisor import Sandbox
from tests.kinds.everyone import EVERYONE
from tests.kinds.lamp.kind import LAMP
from tests.kinds.lamp.living import FILES, ROOT, merged, program, status_of
from tests.kinds.lamp.resources import Bulb
from tests.support.reconciling import commits, cycle_of, git

LAMPS = Kinds((LAMP,))
KITCHEN = ItemId("lamp", "kitchen")


def passes(cycle: Cycle, sandbox: Sandbox) -> Any:
    """Run passes until only people are awaited."""
    for _ in range(8):
        result = cycle.run()
        if result.again_in is None:
            return result
        sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 3})
    raise AssertionError(f"not settled: {result.machines_awaited}")


@pytest.fixture
def lit(clean_sandbox: Sandbox, tmp_path: Path) -> Sandbox:
    """Two lamps that want a bulb and nothing else."""
    merged(clean_sandbox, tmp_path / "projects")
    assert passes(cycle_of(clean_sandbox, LAMPS), clean_sandbox).exit_code == 0
    return clean_sandbox


def test_it_waits_for_what_its_kind_declares_and_says_what_it_is(lit: Sandbox) -> None:
    told = status_of(lit, KITCHEN)
    assert (told["status"], told["kind"], told["phase"]) == ("waiting_bulb", "lamp", "light")
    assert told["identity"] == {"claim": "room kitchen"}
    assert "reconcile seal lamp/kitchen" in told["next"]


def test_two_resources_of_one_item_write_into_git_and_neither_loses_its_file(lit: Sandbox) -> None:
    manifests = lit.environment()["MANIFESTS_REPOSITORY"]
    files = git(manifests, "ls-tree", "--name-only", "main", "lamps/").split()
    assert files == ["lamps/den.txt", "lamps/den.yaml", "lamps/kitchen.txt", "lamps/kitchen.yaml"]


def test_a_quiet_pass_over_it_asks_nobody_whom_only_other_kinds_need(lit: Sandbox) -> None:
    mark, heads = lit.mark(), commits(lit)
    assert cycle_of(lit, LAMPS).run().exit_code == 0
    asked = {request.system for request in lit.requests(mark)}
    assert asked <= {"vault", "postgres"}
    assert commits(lit) == heads


def test_without_a_resource_that_reads_manifests_none_are_fetched(lit: Sandbox) -> None:
    class Bare(Bulb):
        uses = ()

    bare = Kinds((Kind("lamp", LAMP.spec, (Bare,), LAMP.waits),))
    nowhere = {"MANIFESTS_REPOSITORY": "http://127.0.0.1:1/gone.git"}
    assert cycle_of(lit, bare, **nowhere).run().exit_code == 0
    unread = cycle_of(lit, LAMPS, **nowhere).run()
    assert unread.exit_code == 1
    assert "failed to connect to 127.0.0.1" in str(unread.problems)


def test_its_secret_is_sealed_and_taken(lit: Sandbox, tmp_path: Path) -> None:
    said = program(lit, "seal", "lamp/kitchen", given='{"watts": "many"}')
    assert said.returncode == 2
    assert "watts must be a whole number" in said.stderr
    assert program(lit, "seal", "kitchen", given='{"watts": 9}').returncode == 0
    assert "the next pass screws it in" in program(lit, "status", "kitchen").stdout
    passes(cycle_of(lit, LAMPS), lit)
    told = status_of(lit, KITCHEN)
    assert (told["status"], told["bulb"]) == ("completed", {"state": "stored"})
    assert cycle_of(lit, LAMPS).run().changes == 0


def test_what_was_sealed_for_another_lamp_is_refused(lit: Sandbox) -> None:
    text = program(lit, "seal", "lamp/den", "--print", given='{"watts": 9}').stdout
    document = status_of(lit, KITCHEN)
    edited = {**document, "bulb": {**document["bulb"], "sealed": text}}
    write(lit, "status/lamp/kitchen.yaml", json.dumps(edited))
    passes(cycle_of(lit, LAMPS), lit)
    told = status_of(lit, KITCHEN)
    assert (told["status"], told["bulb"]["reason"]) == ("waiting_bulb", "other-item")


def write(sandbox: Sandbox, path: str, text: str) -> None:
    """Commit a file to the config repository, as somebody with git would."""
    repository = sandbox.environment()["CONFIG_REPOSITORY"]
    blob = subprocess.run(
        ["git", "-C", repository, "hash-object", "-w", "--stdin"], input=text, capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip
    index = {"GIT_INDEX_FILE": f"{repository}/by-hand.index"}
    for words in (
        ["read-tree", "main"],
        ["update-index", "--add", "--cacheinfo", f"100644,{blob},{path}"],
    ):
        subprocess.run(["git", "-C", repository, *words], env=index, check=True)
    tree = subprocess.run(
        ["git", "-C", repository, "write-tree"], env=index, capture_output=True, text=True, check=True
    ).stdout.strip()
    identity = {
        f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    commit = subprocess.run(
        ["git", "-C", repository, "commit-tree", tree, "-p", "main", "-m", "By hand"],
        env=identity, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    git(repository, "update-ref", "refs/heads/main", commit)


GOOD: list[dict[str, Any]] = [
    {"repoOwner": "a", "repoName": "b"},
    {"kind": "lamp", "room": "a"},
    {"kind": "lamp", "room": "a", "shade": {"colour": "red"}},
]
BAD: list[dict[str, Any]] = [
    {"room": "a"},
    {"kind": "lamp", "repoOwner": "a", "repoName": "b"},
    {"kind": "boat"},
    {"kind": "lamp", "room": "a", "shade": {"colour": 1}},
]


def test_the_schema_of_several_kinds_is_whole_and_tells_them_apart() -> None:
    schema = json_schema(EVERYONE)
    jsonschema.Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"\$ref": "#/\$defs/([^"]+)"', json.dumps(schema)))
    assert references <= schema["$defs"].keys()
    assert "Shade" in references
    validator = jsonschema.Draft202012Validator(schema)
    for good in GOOD:
        assert list(validator.iter_errors(good)) == []
    for bad in BAD:
        assert list(validator.iter_errors(bad)), bad
    assert "repositor" not in json.dumps(schema["$defs"]["LampSpec"])


def test_files_of_several_kinds_are_validated_offline(tmp_path: Path) -> None:
    for name, text in {**FILES, "two.yaml": "kind: lamp\nroom: KITCHEN\n"}.items():
        (tmp_path / name).write_text(text)
    said = subprocess.run(
        [sys.executable, "-m", "tests.kinds.lamp", "validate", *map(str, sorted(tmp_path.glob("*.yaml")))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 2
    assert "room kitchen is also claimed by" in said.stderr
