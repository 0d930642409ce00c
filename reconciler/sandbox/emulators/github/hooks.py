"""Webhooks as documents and their deliveries. Knows no route and no right.

A place is a repository's number, or `org-` and an organization's.

A document: id, active, events, config {url, content_type, insecure_ssl, secret?}, createdAt, updatedAt,
lastResponse. A ping is really sent when the address is on this machine, and fails as an unreachable host
does otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from reconciler.sandbox.emulators.github.errors import validation_failed
from reconciler.sandbox.emulators.github.world import World

HOOKS, DELIVERIES = "github.hooks", "github.deliveries"
MOST_PER_EVENT = 20
LOCAL = {"127.0.0.1", "localhost", "::1"}
UNUSED = {"code": None, "status": "unused", "message": None}
Document = dict[str, Any]


def all_of(world: World, place: str) -> list[Document]:
    """Return a place's hooks, oldest first, with their secrets."""
    return [hook for _, hook in world.store.items(HOOKS, f"{place}/")]


def find(world: World, place: str, number: int) -> Document | None:
    """Return one hook."""
    return world.store.get(HOOKS, _key(place, number))


def create(world: World, place: str, config: object, events: Sequence[str], *, active: bool) -> Document:
    """Make a hook; the same receiver for a common event twice is refused."""
    hook: Document = {
        "id": 400_000_000 + world.store.next_number(HOOKS),
        "active": active,
        "events": sorted(set(events)),
        "config": clean_config(config),
        "createdAt": world.now(),
        "lastResponse": UNUSED,
    }
    check(world, place, hook)
    return save(world, place, hook)


def save(world: World, place: str, hook: Document) -> Document:
    """Keep a hook."""
    hook["updatedAt"] = world.now()
    world.store.put(HOOKS, _key(place, hook["id"]), hook)
    return hook


def delete(world: World, place: str, number: int) -> None:
    """Forget a hook."""
    world.store.delete(HOOKS, _key(place, number))


def check(world: World, place: str, hook: Document) -> None:
    """Raise the 422 of a duplicate or of one hook too many."""
    others = [one for one in all_of(world, place) if one["id"] != hook["id"]]
    for other in others:
        if _receiver(other) == _receiver(hook) and _overlap(other["events"], hook["events"]):
            raise validation_failed("Hook", "custom", message=f"Hook already exists on this {_what(place)}")
    for event in hook["events"]:
        if sum(event in other["events"] for other in others) >= MOST_PER_EVENT:
            message = f'The "{event}" event cannot have more than {MOST_PER_EVENT} hooks'
            raise validation_failed("Hook", "custom", message=message)


def clean_config(config: object) -> Document:
    """Return the config as GitHub keeps it; what is not given has its default, which is no secret."""
    config = config if isinstance(config, dict) else {}
    url = config.get("url")
    if not isinstance(url, str) or urlsplit(url).scheme not in {"http", "https"}:
        raise validation_failed(
            "Hook", "custom", field="url", message="url is missing a valid http(s) address"
        )
    content_type = config.get("content_type", "form")
    if content_type not in {"json", "form"}:
        raise validation_failed("Hook", "custom", field="content_type", message="content_type is invalid")
    secret = {"secret": config["secret"]} if config.get("secret") else {}
    return {
        "url": url,
        "content_type": content_type,
        "insecure_ssl": str(config.get("insecure_ssl", "0")),
        **secret,
    }


def deliveries(world: World, hook: Document) -> list[Document]:
    """Return the deliveries of a hook, newest first."""
    return [one for _, one in world.store.items(DELIVERIES, f"{hook['id']}/")][::-1]


async def ping(world: World, place: str, hook: Document) -> None:
    """Send a signed ping and remember how it went."""
    payload = {
        "zen": "Keep it logically awesome.",
        "hook_id": hook["id"],
        "hook": {"type": _what(place).capitalize()},
    }
    text = json.dumps(payload)
    json_wanted = hook["config"]["content_type"] == "json"
    body = text.encode() if json_wanted else urlencode({"payload": text}).encode()
    guid = str(uuid.uuid4())
    headers = {
        "User-Agent": "GitHub-Hookshot/emulated",
        "Content-Type": "application/json" if json_wanted else "application/x-www-form-urlencoded",
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Hook-ID": str(hook["id"]),
    }
    if secret := hook["config"].get("secret"):
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Hub-Signature-256"] = f"sha256={digest}"
    begun = time.monotonic()
    code, status = await _send(hook["config"]["url"], body, headers)
    number = world.store.next_number(DELIVERIES)
    delivery = {
        "id": number,
        "guid": guid,
        "delivered_at": world.now(),
        "redelivery": False,
        "duration": round(time.monotonic() - begun, 3),
        "status": status,
        "status_code": code,
        "event": "ping",
        "action": None,
        "installation_id": None,
        "repository_id": int(place) if place.isdigit() else None,
        "request": {"headers": headers, "payload": payload},
        "response": {"headers": {}, "payload": ""},
    }
    world.store.put(DELIVERIES, f"{hook['id']}/{number:012d}", delivery)
    present = find(world, place, hook["id"])
    if present is not None:
        kind = "active" if 200 <= code < 300 else "connection_error" if code == 0 else "misconfigured"
        present["lastResponse"] = {"code": code, "status": kind, "message": status}
        world.store.put(HOOKS, _key(place, hook["id"]), present)


async def _send(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    if urlsplit(url).hostname not in LOCAL:
        return 0, "failed to connect to host"
    try:
        # Receivers of the sandbox have certificates of their own.
        async with httpx.AsyncClient(timeout=10, verify=False) as client:  # noqa: S501
            response = await client.post(url, content=body, headers=dict(headers))
    except httpx.HTTPError:
        return 0, "failed to connect to host"
    good = 200 <= response.status_code < 300
    return response.status_code, "OK" if good else f"Invalid HTTP Response: {response.status_code}"


def _what(place: str) -> str:
    return "organization" if place.startswith("org-") else "repository"


def _receiver(hook: Document) -> tuple[str, str, str]:
    config = hook["config"]
    return config["url"], config["content_type"], config["insecure_ssl"]


def _overlap(one: Sequence[str], other: Sequence[str]) -> bool:
    return "*" in one or "*" in other or bool(set(one) & set(other))


def _key(place: str, number: int) -> str:
    return f"{place}/{number:012d}"
