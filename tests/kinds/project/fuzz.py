"""Hostile input that only concerns kind `project`: manifests, the dev container file, a login's tokens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyjson5
import pyrage
import yaml
from pydantic import SecretStr, ValidationError

from reconciler.crypto.sealing import Refusal, generate_identity, recipient_of
from reconciler.kinds.project.manifests.devcontainer_text import add_feature, has_feature, unbuildable
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import Inputs, mark_in, render_environment
from reconciler.kinds.project.resources.tokens import fields_to_seal, sentence_of, unseal_tokens
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.errors import InvalidFile
from reconciler.model.item import ItemId
from reconciler.model.mark import Mark
from tests.fuzz import hostile, meaning
from tests.fuzz.figures import Figures, Harm, Run
from tests.fuzz.mutation import mutated

TOOLS = "registry.example/mesh-six/mesh-six-tools:2"
_SLUG = "acme-widgets"
_BENIGN = "harmless"
_FINGERPRINTED = {"git_access", "llm_key", "repository"}
"""Answers that are not shown as they are in what tells of the secrets."""


def check_rendered(files: Mapping[str, bytes]) -> None:
    """Harm where the kubelet would put one of a container's variables into another one."""
    for path, content in files.items():
        for document in yaml.load_all(content, yaml.CSafeLoader) if b"StatefulSet" in content else ():
            for name, value in _variables(document):
                if "$(" in value.replace("$$", ""):
                    raise Harm(f"{path}: the variable {name} would be expanded: {value[:80]!r}")


def _variables(document: Any) -> Iterable[tuple[str, str]]:
    if not isinstance(document, dict) or document.get("kind") != "StatefulSet":
        return
    for container in document["spec"]["template"]["spec"]["containers"]:
        for variable in container.get("env", ()):
            yield variable["name"], str(variable.get("value", ""))


# -- what GitHub and Vault answer, rendered --------------------------------------------------------


def answers(figures: Figures, random: Random, size: int) -> None:
    """Try so many texts as what a system answers of a project: branches, versions, paths."""
    names = list(Inputs.model_fields)
    for number in range(size):
        name, text = names[number % len(names)], hostile.text(random) or " "  # empty is none
        figures.attempt((name, text), lambda: _judge_answer(name, text))  # noqa: B023 - called at once


def _judge_answer(name: str, text: str) -> Iterable[str]:
    try:
        inputs = Inputs.model_validate({**_inputs().model_dump(), name: _answer(name, text)})
    except ValidationError as error:
        return [str(error)]
    files = render_environment(_spec(), _SLUG, _pods(), inputs)
    if name in _FINGERPRINTED:
        files = {path: content for path, content in files.items() if path != "external-secret.yaml"}
    meaning.check_same({path: _harmless(name)[path] for path in files}, files, _BENIGN, text)
    check_rendered(files)
    if name != "identity":
        _check_marked(files)
    return ()


def _answer(name: str, text: str) -> str:
    """Return the text as that answer; a path is taken apart, so that of one the text is a part."""
    return f".devcontainer/{text}/devcontainer.json" if name == "devcontainer" else text


def _check_marked(files: Mapping[str, bytes]) -> None:
    found = mark_in(files["kustomization.yaml"])
    if not Mark("project", _SLUG, "42").whose(found).ours:
        raise Harm(f"is not known as ours any more: {found}")


@cache
def _harmless(name: str) -> dict[str, bytes]:
    inputs = _inputs().model_copy(update={name: _answer(name, _BENIGN)})
    return render_environment(_spec(), _SLUG, _pods(), inputs)


@cache
def _inputs() -> Inputs:
    return Inputs(
        branch="main",
        identity="42",
        repository="acme/widgets",
        git_access="ssh-ed25519 AAAA",
        llm_key="1",
        devcontainer=".devcontainer/devcontainer.json",
        storage_class="fast",
    )


@cache
def _spec() -> ProjectSpec:
    return ProjectSpec.model_validate({"repoOwner": "acme", "repoName": "widgets", "skipAuth": True})


@cache
def _pods() -> PodsSettings:
    return PodsSettings.load({"gatewayUrl": "http://gateway.example"}, {})


# -- the dev container file ------------------------------------------------------------------------

_FILES = tuple(yaml.safe_load((Path(__file__).parent / "dev-containers.yaml").read_text()).values())


def dev_containers(figures: Figures, random: Random, size: int) -> None:
    """Try so many changed dev container files."""
    for number in range(size):
        content = mutated(_FILES[number % len(_FILES)].encode(), random)
        text = content.decode("utf-8", "replace")
        figures.attempt(text, lambda: _judge_dev_container(text))  # noqa: B023 - called at once


def _judge_dev_container(text: str) -> Iterable[InvalidFile]:
    try:
        unbuildable(text)
        there = has_feature(text, TOOLS)
        after = add_feature(text, TOOLS)
    except InvalidFile as error:
        return [error]
    if there != (after == text) or not has_feature(after, TOOLS):
        raise Harm("has the feature, or has it not")
    rest = iter(after)
    if not all(sign in rest for sign in text):
        raise Harm(f"lost some of its signs: {after!r}")
    _check_meaning(text, after, there=there)
    return ()


def _check_meaning(before: str, after: str, *, there: bool) -> None:
    """Read both with a third reader, which shares no code with the two that the edit goes by."""
    try:
        old = pyjson5.decode(before)
    except pyjson5.Json5Exception:
        return
    try:
        new = pyjson5.decode(after)
    except pyjson5.Json5Exception as error:
        raise Harm(f"cannot be read any more ({error}): {after!r}") from error
    wanted = old if there else {**old, "features": {**old.get("features", {}), TOOLS: {}}}
    if json.dumps(new, sort_keys=True) != json.dumps(wanted, sort_keys=True):
        raise Harm(f"means something else now: {after!r}")


# -- what is inside a sealed login -----------------------------------------------------------------

_VALUES = (
    "null", "true", "0", "-1", "1e400", "-1e400", "NaN", "Infinity", "9" * 30, "9" * 5_000, "1e-400",
    "253402300800", "253402300799999", "1893456000", "1893456000000", "1893456000000.5", "[]", "{}",
    '[["a"]]', '"9999-12-31T23:59:59-14:00"', '"0001-01-01T00:00:00+14:00"', '"2030-01-01"', '"2030-W01-1"',
    '"2030-01-01T00:00:00.123456789Z"', '"20300101T000000"', '"tomorrow"', '""', '" "', '"\\ud800"',
    '"\\u0000"', '"line\\nbreak"', '"' + "x" * 16_384 + '"', '"' + "x" * 16_385 + '"',
)  # fmt: skip
_LOGIN = {"accessToken": '"canary-a"', "refreshToken": '"canary-r"', "expiresAt": "1893456000000"}
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def logins(figures: Figures, random: Random, size: int) -> None:
    """Try so many logins with one field that is strange, sealed as it should be, and handed in."""
    identity = generate_identity()
    key = pyrage.x25519.Recipient.from_str(recipient_of(identity))
    for _ in range(size):
        name = random.choice(("accessToken", "refreshToken", "expiresAt"))
        value = random.choice((*_VALUES, json.dumps(hostile.text(random))))
        said = {**_LOGIN, name: value}
        inner = ", ".join(f'"{field}": {text}' for field, text in said.items())
        plain = f'{{"project": "{_SLUG}", "requestId": "login-42-1", {inner}}}'.encode()
        text = pyrage.encrypt(plain, [key], armored=True).decode()
        figures.attempt(plain, lambda: _judge_login(text, plain, [identity]))  # noqa: B023 - called at once


def _judge_login(text: str, plain: bytes, identities: Sequence[SecretStr]) -> Iterable[str]:
    found = unseal_tokens(text, identities, ItemId("project", _SLUG), _NOW)
    answer = fields_to_seal(plain, _NOW)
    if isinstance(found, Refusal) != isinstance(answer, str):
        raise Harm("is taken when it is handed in, and not when it is opened, or the other way round")
    if isinstance(found, Refusal):
        told = f"{found!r} {sentence_of(found)} {answer}"
        if "canary" in told:
            raise Harm(f"tells what was sealed: {told}")
        return [sentence_of(found)]
    said = json.loads(plain)
    got = (found.tokens.access_token.get_secret_value(), found.tokens.refresh_token.get_secret_value())
    if got != (said["accessToken"], said["refreshToken"]):
        raise Harm("says something else than what was sealed")
    if "canary" in repr(found):
        raise Harm("tells what was sealed")
    return ()


def _dev_container(content: bytes) -> None:
    text = content.decode()
    unbuildable(text)
    add_feature(text, TOOLS)


READERS: Mapping[str, Callable[[bytes], object]] = {"of dev container files": _dev_container}
RUNS: Mapping[str, Run] = {
    "answers, rendered": answers,
    "dev container files": dev_containers,
    "sealed logins": logins,
}
