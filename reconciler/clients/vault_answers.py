"""What Vault's answers hold, taken out of them: Senseless where they have not the form of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reconciler.clients.vault_adapter import SYSTEM
from reconciler.model.errors import Senseless


def done(answer: object) -> None:
    """Raise unless Vault says that it did what was asked: without a body, or with warnings in JSON."""
    if answer is not None and not (isinstance(answer, dict) and "request_id" in answer):
        raise Senseless(SYSTEM, "gave an answer that makes no sense", remedy="is vault.address a Vault?")


def part(answer: object, *keys: str) -> dict[str, Any]:
    """Return the object that an answer has under these keys, one below the other."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, dict):
        raise Senseless(SYSTEM, "gave an answer that makes no sense", remedy="is vault.mount a KV version 2?")
    return answer


def version_in(about: Mapping[str, Any]) -> int:
    """Return the version that an answer tells."""
    version = about.get("version")
    if not isinstance(version, int):
        raise Senseless(SYSTEM, "told no version")
    return version


def number_of(value: object) -> int:
    """Return a number that counts something; TypeError for anything else."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(type(value).__name__)
    return value


def moment_of(text: str) -> datetime:
    """Return a time with its zone; ValueError or TypeError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def text(value: object) -> str:
    """Return a value of a secret as the text that it is, or as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def texts(value: object) -> dict[str, str]:
    """Return custom metadata, which are null where there are none; TypeError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(type(value).__name__)
    return {str(key): text(item) for key, item in value.items()}
