"""A client that is not ours: the `gh` program reads a repository, its hooks and its board."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler.sandbox.emulators.github.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.support.github_emulator import TOKEN
from tests.support.serve import serve

Gh = Callable[..., str]


@pytest.fixture
def gh(tmp_path: Path) -> Iterator[Gh]:
    key, certificate = own_certificate(tmp_path)
    app = create_app(Store(), token=TOKEN, git_directory=tmp_path / "git")
    with serve(app, key=key, certificate=certificate) as address:
        fill(address, certificate)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "GH_HOST": address.removeprefix("https://"),
            "GH_ENTERPRISE_TOKEN": TOKEN,
            "GH_NO_UPDATE_NOTIFIER": "1",
            "SSL_CERT_FILE": str(certificate),
        }

        def run(*arguments: str) -> str:
            program = Path(sys.executable).with_name("gh")
            done = subprocess.run(
                [program, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


def fill(address: str, certificate: Path) -> None:
    with httpx.Client(base_url=address, verify=ssl.create_default_context(cafile=str(certificate))) as people:
        people.post("/_emulator/repositories", json={"owner": "acme", "name": "widgets"})
        board = {
            "owner": "acme",
            "title": "Widgets board",
            "repositories": ["acme/widgets"],
            "readme": "marker",
            "fields": [{"name": "Session ID", "dataType": "TEXT"}],
        }
        people.post("/_emulator/projects", json=board)
        config = {"url": "https://hooks.example/", "content_type": "json", "secret": "canary"}
        people.post("/_emulator/hooks", json={"repository": "acme/widgets", "config": config})


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a key and a certificate for 127.0.0.1 that lasts a day."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    return key, certificate


def test_gh_reads_a_repository_its_hooks_and_its_board(gh: Gh) -> None:
    assert "# widgets" in gh("repo", "view", "acme/widgets")
    seen = gh(
        "repo", "view", "acme/widgets", "--json", "nameWithOwner,defaultBranchRef,isArchived,viewerPermission"
    )
    assert json.loads(seen) == {
        "nameWithOwner": "acme/widgets",
        "defaultBranchRef": {"name": "main"},
        "isArchived": False,
        "viewerPermission": "ADMIN",
    }
    [hook] = json.loads(gh("api", "repos/acme/widgets/hooks"))
    assert hook["config"]["secret"] == "********"
    board = json.loads(gh("project", "view", "1", "--owner", "acme", "--format", "json"))
    assert (board["title"], board["readme"], board["owner"]["login"]) == ("Widgets board", "marker", "acme")
    fields = json.loads(gh("project", "field-list", "1", "--owner", "acme", "--format", "json"))["fields"]
    by_name = {field["name"]: field for field in fields}
    assert by_name["Session ID"]["type"] == "ProjectV2Field"
    assert [option["name"] for option in by_name["Status"]["options"]] == ["Todo", "In Progress", "Done"]
    assert "Widgets board" in gh("project", "list", "--owner", "acme")


def test_gh_makes_and_links_a_board(gh: Gh) -> None:
    made = json.loads(gh("project", "create", "--owner", "acme", "--title", "Second", "--format", "json"))
    gh("project", "link", str(made["number"]), "--owner", "acme", "--repo", "acme/widgets")
    gh(
        "project",
        "field-create",
        str(made["number"]),
        "--owner",
        "acme",
        "--name",
        "Pod Name",
        "--data-type",
        "TEXT",
    )
    query = '{repository(owner:"acme",name:"widgets"){projectsV2(first:5){nodes{title}}}}'
    linked = json.loads(gh("api", "graphql", "-f", f"query={query}"))
    assert {"title": "Second"} in linked["data"]["repository"]["projectsV2"]["nodes"]
