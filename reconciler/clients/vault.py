"""Vault's KV version 2 store: secrets, their versions and their custom metadata.

Knows hvac, and nothing of what the secrets are for. Paths are those that a person types
(`mesh-six/webhooks/x`), never the API's `secret/data/...` form. What is known of Vault is in
docs/systems/vault.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import hvac
from pydantic import AliasChoices, Field, SecretStr

from reconciler.clients.retry import Retry
from reconciler.clients.vault_adapter import SYSTEM, Gone, VaultAdapter, session
from reconciler.clients.vault_answers import done, moment_of, number_of, part, text, texts, version_in
from reconciler.model.errors import (
    Collision,
    ConfigurationError,
    Denied,
    Missing,
    Rejected,
    Senseless,
    SystemFault,
)
from reconciler.settings.giving import HeaderSecret, Reader, Sections, Settings, WebAddress, Writer

TIMEOUT = (5.0, 10.0)
"""Seconds to connect, and to wait for an answer."""


class VaultSettings(Settings):
    """Where Vault is and who we are there: a token, an AppRole, or the pod's Kubernetes account."""

    section: ClassVar[str] = "vault"
    place: ClassVar[tuple[str, ...]] = ("address", "namespace", "mount")

    address: WebAddress | None = Field(None, validation_alias=AliasChoices("address", "VAULT_ADDR"))
    """Its address, without `/v1`."""
    token: HeaderSecret | None = Field(None, validation_alias=AliasChoices("token", "VAULT_TOKEN"))
    """A token; one of three ways to log in."""
    namespace: str | None = Field(None, validation_alias=AliasChoices("namespace", "VAULT_NAMESPACE"))
    """The Enterprise namespace."""
    mount: str = "secret"
    """Where the KV version 2 engine is mounted."""
    role_id: str | None = Field(None, validation_alias=AliasChoices("roleId", "VAULT_ROLE_ID"))
    """AppRole: the role."""
    secret_id: SecretStr | None = Field(None, validation_alias=AliasChoices("secretId", "VAULT_SECRET_ID"))
    """AppRole: the secret that goes with it."""
    kubernetes_role: str | None = None
    """The role to log in with by the pod's Kubernetes service account."""
    kubernetes_token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    """The token of that account."""
    ca_certificate: Path | None = Field(None, validation_alias=AliasChoices("caCertificate", "VAULT_CACERT"))
    """A PEM file with the CA that signed its certificate."""

    def missing(self) -> str | None:
        """Off without an address."""
        return None if self.address else "vault.address (VAULT_ADDR)"

    def check(self) -> None:
        """Raise ConfigurationError when an address has no way to log in."""
        if not (self.token or self.role_id or self.kubernetes_role):
            raise ConfigurationError(
                "vault.address is set, but nothing to log in with",
                remedy="set vault.token (VAULT_TOKEN), vault.roleId or vault.kubernetesRole",
            )


@dataclass(frozen=True)
class VaultSecret:
    """The newest version of one secret, which is neither deleted nor destroyed."""

    data: Mapping[str, SecretStr]
    version: int
    created: datetime
    metadata: Mapping[str, str]
    """Custom metadata; it belongs to the path, not to the version."""

    @property
    def value_id(self) -> str:
        """A public text that is another one whenever the value may be.

        With the time: what was deleted with all its versions and made again counts from 1 again.
        """
        return f"{self.version} of {self.created.strftime('%Y-%m-%dT%H:%M:%SZ')}"


@dataclass(frozen=True)
class VaultMetadata:
    """What is known of a path without reading its secret. `version` is 0 when no data was ever written."""

    version: int
    metadata: Mapping[str, str]
    delete_version_after: str


class Vault(Reader):
    """Reads secrets of one KV version 2 mount."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = VaultSettings

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings
        self._mount = settings.mount
        self._retry = Retry()
        self._logged_in = False
        self._mount_checked = False
        self._login = threading.Lock()
        self._listing = threading.Lock()
        self._listed: dict[str, frozenset[str]] = {}
        # "" and not None: hvac would look for a token in the environment and the home directory.
        self._client = hvac.Client(
            url=settings.address,
            token=settings.token.get_secret_value() if settings.token else "",
            verify=True,
            timeout=TIMEOUT,
            allow_redirects=False,
            session=session(settings.ca_certificate),
            namespace=settings.namespace,
            adapter=VaultAdapter,
            ignore_exceptions=True,
        )

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client; it logs in with its first request."""
        return cls(sections.get(VaultSettings))

    def close(self) -> None:
        """Give back the connections, and the token if it is from a login of ours.

        A client lives for one pass; its token would live on, and a day's worth of them with it.
        """
        if self._logged_in:
            with suppress(SystemFault):
                self._client.auth.token.revoke_self()
        self._client.adapter.close()

    def names(self, path: str) -> frozenset[str]:
        """Return the names right under the path; empty when there are none. One request a pass.

        Soft-deleted secrets, and paths that have metadata but no data, are among them.
        """
        with self._listing:
            if path not in self._listed:
                self._listed[path] = self._names(path)
            return self._listed[path]

    def read(self, path: str) -> VaultSecret | None:
        """Return the newest version; None when there is none, or it is deleted."""
        try:
            answer = self._retry.repeat(
                self._kv().read_secret_version,
                path,
                mount_point=self._mount,
                raise_on_deleted_version=True,
            )
        except Missing:
            self._check_mount()
            return None
        data, about = part(answer, "data", "data"), part(answer, "data", "metadata")
        try:
            return VaultSecret(
                data={key: SecretStr(text(value)) for key, value in data.items()},
                version=number_of(about["version"]),
                created=moment_of(about["created_time"]),
                metadata=texts(about["custom_metadata"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Senseless(SYSTEM, f"{path} has no version or time that makes sense") from error

    def metadata(self, path: str) -> VaultMetadata | None:
        """Return what is known of the path; None when Vault has never heard of it."""
        try:
            answer = self._retry.repeat(self._kv().read_secret_metadata, path, mount_point=self._mount)
        except Missing:
            self._check_mount()
            return None
        about = part(answer, "data")
        try:
            return VaultMetadata(
                version=number_of(about["current_version"]),
                metadata=texts(about["custom_metadata"]),
                delete_version_after=str(about["delete_version_after"]),
            )
        except (KeyError, TypeError) as error:
            raise Senseless(SYSTEM, f"told nothing of {path} that makes sense") from error

    def _names(self, path: str) -> frozenset[str]:
        try:
            answer = self._retry.repeat(self._kv().list_secrets, path, mount_point=self._mount)
        except Missing:
            self._check_mount()
            return frozenset()
        keys = part(answer, "data").get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Senseless(SYSTEM, f"listed {path} without names")
        return frozenset(key for key in keys if not key.endswith("/"))

    def _check_mount(self) -> None:
        """Raise Rejected unless it is a KV version 2 engine that says that something is absent.

        Any other engine answers the same for paths that it does not know, and what is there would be made
        anew. Asked once for each client, when first needed; whoever may do anything below a mount may ask.
        """
        if self._mount_checked:
            return
        self._kv()
        try:
            answer = self._retry.repeat(self._client.adapter.get, f"/v1/sys/internal/ui/mounts/{self._mount}")
        except Missing as error:
            raise self._no_mount("unknown") from error
        about = part(answer, "data")
        options = about.get("options")
        version = options.get("version") if isinstance(options, dict) else None
        if about.get("type") != "kv":
            raise self._no_mount(f"an engine of type {about.get('type')}")
        if version != "2":
            raise self._no_mount("KV version 1")
        self._mount_checked = True

    def _no_mount(self, what: str) -> Rejected:
        return Rejected(
            SYSTEM,
            f"vault.mount {self._mount} is {what}, whose word that something is absent is not believed",
            remedy="set vault.mount to the mount of a KV version 2 engine",
        )

    def _kv(self) -> Any:  # noqa: ANN401 - hvac has no types
        with self._login:
            if not self._client.adapter.token:
                self._retry.repeat(self._log_in)
                self._logged_in = True
        return self._client.secrets.kv.v2

    def _log_in(self) -> None:
        settings = self._settings
        try:
            if settings.role_id:
                secret = settings.secret_id
                self._client.auth.approle.login(
                    settings.role_id, secret.get_secret_value() if secret else None
                )
            else:
                # Read anew at every login: the kubelet rotates this file about hourly.
                jwt = settings.kubernetes_token_file.read_text(encoding="utf-8").strip()
                self._client.auth.kubernetes.login(settings.kubernetes_role, jwt)
        except Rejected as error:
            raise Denied(
                SYSTEM, "refused our login", remedy="check vault.roleId, secretId, kubernetesRole"
            ) from error
        except OSError as error:
            raise ConfigurationError(
                f"vault.kubernetesTokenFile: cannot read {settings.kubernetes_token_file}",
                remedy="run in a pod with a service account, or log in another way",
            ) from error


class VaultWriter(Vault, Writer):
    """Writes secrets too. Nothing that it reads is remembered."""

    def names(self, path: str) -> frozenset[str]:
        """Return the names right under the path, asked anew."""
        return self._names(path)

    def write(
        self, path: str, data: Mapping[str, SecretStr], *, cas: int, metadata: Mapping[str, str]
    ) -> int:
        """Write a version over version `cas`; 0 means that nothing readable is there. Return its version.

        Collision when another version is there. A soft-deleted secret counts as nothing, although Vault
        itself refuses 0 over it. The metadata are merged in first: killed in between, the next pass finds
        a path that carries our mark and has no data yet, and never an unmarked secret of our making.
        """
        over = self._current(path, cas)
        self.annotate(path, metadata)
        try:
            answer = self._kv().create_or_update_secret(
                path,
                {key: value.get_secret_value() for key, value in data.items()},
                cas=over,
                mount_point=self._mount,
            )
        finally:
            self._listed.pop(path, None)
        version = version_in(part(answer, "data"))
        if version <= over:
            raise Senseless(SYSTEM, f"did not confirm a new version of {path}")
        return version

    def annotate(self, path: str, metadata: Mapping[str, str]) -> None:
        """Merge these into the custom metadata; other keys, and the path's settings, stay."""
        seen = self.metadata(path)
        before = seen.metadata if seen else {}
        if metadata.items() <= before.items():
            return
        answer = self._retry.repeat(
            self._kv().update_metadata,
            path,
            # hvac sends this setting with every update: unless what is there is said again, it is reset.
            delete_version_after=seen.delete_version_after if seen else "0s",
            mount_point=self._mount,
            custom_metadata={**before, **metadata},
        )
        done(answer)
        # That was a 204, as anybody may say; and without its mark a secret of ours would be a stranger's.
        now = self.metadata(path)
        if now is None or not metadata.items() <= now.metadata.items():
            raise Senseless(SYSTEM, f"confirmed metadata of {path} that are not there")

    def delete(self, path: str) -> None:
        """Remove every version and all metadata; nothing happens when there are none."""
        done(self._retry.repeat(self._kv().delete_metadata_and_all_versions, path, mount_point=self._mount))
        if self.metadata(path) is not None:
            raise Senseless(SYSTEM, f"confirmed that {path} was removed, which is still there")

    def _current(self, path: str, cas: int) -> int:
        """Return the version that Vault must be told to write over; Collision unless it stands for `cas`."""
        try:
            answer = self._retry.repeat(
                self._kv().read_secret_version, path, mount_point=self._mount, raise_on_deleted_version=True
            )
            live = version_in(part(answer, "data", "metadata"))
        except Gone as gone:
            return gone.version if cas == 0 else cas
        except Missing:
            self._check_mount()
            return cas
        if live != cas:
            raise Collision(SYSTEM, f"{path} is at version {live} and not {cas}")
        return cas
