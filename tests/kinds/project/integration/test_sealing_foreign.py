"""Texts sealed by an age program that is not ours, opened by us; and the other way round."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from reconciler.crypto.sealing import generate_identity, recipient_of, seal
from reconciler.kinds.project.resources.tokens import SealedLogin, Tokens, sealed_fields, unseal_tokens
from reconciler.model.item import ItemId
from tests.support.npm import npm_package

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WIDGETS = ItemId("project", "acme-widgets")
SEAL = """
import { Encrypter, armor } from "age-encryption";
const encrypter = new Encrypter();
for (const recipient of process.argv.slice(2)) encrypter.addRecipient(recipient);
const plain = await new Response(process.stdin).text().catch(() => null) ?? "";
process.stdout.write(armor.encode(await encrypter.encrypt(plain)));
"""
OPEN = """
import { Decrypter, armor } from "age-encryption";
const decrypter = new Decrypter();
decrypter.addIdentity(process.argv[2]);
const text = await new Response(process.stdin).text();
process.stdout.write(await decrypter.decrypt(armor.decode(text), "text"));
"""


@pytest.fixture(scope="module")
def modules() -> Path:
    return npm_package("age-encryption", "0.3.1").parent.parent


def node(modules: Path, script: str, arguments: list[str], text: str, tmp_path: Path) -> str:
    program = shutil.which("node")
    assert program, "node is needed for a foreign age program"
    # ES modules look for packages beside the script, so a link stands there.
    (tmp_path / "node_modules").symlink_to(modules / "node_modules")
    path = tmp_path / "script.mjs"
    path.write_text(script)
    done = subprocess.run(
        [program, str(path), *arguments], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def test_a_foreign_seal_is_opened(modules: Path, tmp_path: Path) -> None:
    identity, other = generate_identity(), generate_identity()
    plain = json.dumps(
        {
            "project": "acme-widgets",
            "requestId": "login-42-1",
            "accessToken": "a",
            "refreshToken": "r",
            "expiresAt": "2026-01-02T00:00:00Z",
        }
    )
    recipients = [recipient_of(other), recipient_of(identity)]
    text = node(modules, SEAL, recipients, plain, tmp_path)
    opened = unseal_tokens(text, [identity], WIDGETS, NOW)
    assert isinstance(opened, SealedLogin)
    assert opened.tokens == Tokens(SecretStr("a"), SecretStr("r"), NOW + timedelta(days=1))


def test_our_seal_is_age_to_others(modules: Path, tmp_path: Path) -> None:
    identity = generate_identity()
    tokens = Tokens(SecretStr("a"), SecretStr("r"), NOW + timedelta(days=1))
    text = seal(recipient_of(identity), sealed_fields(tokens), item=WIDGETS, request_id="login-42-1")
    plain = node(modules, OPEN, [identity.get_secret_value()], text, tmp_path)
    assert json.loads(plain)["accessToken"] == "a"
