"""A GitHub App's way to a token, by githubkit's own login and by hand."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from githubkit_schemas.latest import models
from pydantic import TypeAdapter

from tests.support.github_emulator import Emulated, put, wrote

TOKENS = "/app/installations/77/access_tokens"
GRANTED = {"contents": "write", "metadata": "read", "organization_projects": "write"}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def github(key: rsa.RSAPrivateKey) -> Emulated:
    one = Emulated()
    one.repository()
    one.repository("acme/gadgets", private=True)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    wish = {"id": 77, "appId": 4, "owner": "acme", "publicKey": public.decode(), "permissions": GRANTED}
    one.seam("installations", wish)
    return one


def signed(github: Emulated, key: rsa.RSAPrivateKey, *, life: float = 540, app: object = 4) -> dict[str, str]:
    now = github.clock().timestamp()
    parts = ({"alg": "RS256", "typ": "JWT"}, {"iss": app, "iat": now - 60, "exp": now + life})
    head = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
    signature = key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"Authorization": f"Bearer {head}.{_encoded(signature)}"}


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_token_is_long_weak_and_dies_after_an_hour(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    answer = github.http.post(TOKENS, headers=signed(github, key))
    TypeAdapter(models.InstallationToken).validate_python(answer.json())
    assert (answer.status_code, wrote(answer)) == (201, False)
    assert len(answer.json()["token"]) > 255
    app = github.client(answer.json()["token"])
    assert put(app, "a.txt", "x").status_code == 201
    assert app.get("/repos/acme/widgets/hooks").status_code == 403
    github.clock.advance(hours=1)
    assert app.get("/repos/acme/widgets").status_code == 401


def test_a_token_may_be_for_some_repositories_only(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    answer = github.http.post(TOKENS, headers=signed(github, key), json={"repositories": ["widgets"]})
    app = github.client(answer.json()["token"])
    assert app.get("/repos/acme/widgets").status_code == 200
    assert app.get("/repos/acme/gadgets").status_code == 404


def test_the_installation_of_a_repository(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    found = github.http.get("/repos/acme/widgets/installation", headers=signed(github, key))
    TypeAdapter(models.Installation).validate_python(found.json())
    assert found.json()["permissions"] == GRANTED
    github.repository("umbrella/tools")
    missing = github.http.get("/repos/umbrella/tools/installation", headers=signed(github, key))
    assert missing.status_code == 404


def test_wrong_logins_are_401(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for headers in (
        signed(github, other),
        signed(github, key, life=3600),
        signed(github, key, life=-1),
        signed(github, key, app=5),
        {"Authorization": "Bearer nonsense"},
        {},
    ):
        assert github.http.post(TOKENS, headers=headers).status_code == 401


def test_more_than_granted_is_422_and_suspended_403(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    asked = {"permissions": {"administration": "write"}}
    assert github.http.post(TOKENS, headers=signed(github, key), json=asked).status_code == 422
    elsewhere = "/app/installations/78/access_tokens"
    assert github.http.post(elsewhere, headers=signed(github, key)).status_code == 404
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    wish = {"id": 78, "appId": 4, "owner": "acme", "publicKey": public.decode(), "permissions": GRANTED}
    github.seam("installations", {**wish, "suspended": True})
    assert github.http.post(elsewhere, headers=signed(github, key)).status_code == 403


def test_githubkit_logs_in(github: Emulated, key: rsa.RSAPrivateKey) -> None:
    from githubkit import AppInstallationAuthStrategy, GitHub  # noqa: PLC0415 - heavy, used once

    from tests.support.github_emulator import InProcess  # noqa: PLC0415

    github.clock.now = datetime.now(UTC)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    client = GitHub(
        AppInstallationAuthStrategy("4", pem, 77),
        base_url="http://github.test",
        transport=InProcess(github.app),
        http_cache=False,
        auto_retry=False,
    )
    found = client.rest.repos.get("acme", "widgets").parsed_data
    assert found.full_name == "acme/widgets"
    assert found.permissions
    assert found.permissions.admin is False
