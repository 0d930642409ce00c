"""Whether GitHub itself sent a delivery of a webhook: its signature, by githubkit. Knows no event."""

from __future__ import annotations

import re

from githubkit.webhooks import sign, verify
from pydantic import SecretStr

SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
"""The header X-Hub-Signature-256. githubkit would take the older SHA-1 too, which nobody sends any more."""


def is_signed(body: bytes, signature: str, secret: SecretStr) -> bool:
    """Tell whether the signature is that of just this body with the webhook's secret."""
    return SIGNATURE.fullmatch(signature) is not None and verify(secret.get_secret_value(), body, signature)


def signature_of(body: bytes, secret: SecretStr) -> str:
    """Return the header that GitHub sends with a body."""
    return sign(secret.get_secret_value(), body, "sha256")
