"""SSH key pairs; the only importer of cryptography. Knows not whose they are."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from reconciler.model.errors import Rejected


@dataclass(frozen=True)
class SshKeyPair:
    """`private`: OpenSSH's own format, without a passphrase. `public`: type and base64, no comment."""

    private: SecretStr
    public: str


def generate() -> SshKeyPair:
    """Make an Ed25519 pair."""
    # Imported where it is needed: `reconcile --help` should not wait for it.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
    return SshKeyPair(SecretStr(private), public_half(SecretStr(private)))


def public_half(private: SecretStr) -> str:
    """Return the public half of a private key in OpenSSH's format; Rejected when it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_ssh_private_key,
    )

    try:
        key = load_ssh_private_key(private.get_secret_value().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is left out: it could quote the key.
        raise Rejected("Vault", "the private key is not in OpenSSH's format") from None
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")
