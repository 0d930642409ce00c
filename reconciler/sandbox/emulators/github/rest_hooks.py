"""Webhooks. A secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.background import BackgroundTask

from reconciler.sandbox.emulators.github import hooks
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import not_found, validation_failed
from reconciler.sandbox.emulators.github.identity import READ_HOOKS, WRITE_HOOKS

MASK = "********"
EVENTS = frozenset({
    "*", "branch_protection_rule", "check_run", "check_suite", "code_scanning_alert", "commit_comment",
    "create", "delete", "dependabot_alert", "deploy_key", "deployment", "deployment_status",
    "discussion", "discussion_comment", "fork", "gollum", "issue_comment", "issues", "label", "member",
    "merge_group", "meta", "milestone", "package", "page_build", "ping", "project", "project_card",
    "project_column", "public", "pull_request", "pull_request_review", "pull_request_review_comment",
    "pull_request_review_thread", "push", "registry_package", "release", "repository",
    "repository_import", "repository_ruleset", "repository_vulnerability_alert",
    "secret_scanning_alert", "star", "status", "team_add", "watch", "workflow_job", "workflow_run",
})  # fmt: skip
Document = Mapping[str, Any]


def list_hooks(call: Call) -> Answer:
    """GET …/hooks."""
    repository = call.repository(READ_HOOKS)
    return call.page([_body(call, repository, hook) for hook in hooks.all_of(call.world, repository["id"])])


def create_hook(call: Call) -> Answer:
    """POST …/hooks; GitHub pings a new hook by itself."""
    repository = call.repository(WRITE_HOOKS)
    if call.body.get("name", "web") != "web":
        raise validation_failed("Hook", "invalid", field="name")
    events = _events(call.body.get("events", ["push"]))
    hook = hooks.create(
        call.world,
        repository["id"],
        call.body.get("config"),
        events,
        active=call.body.get("active", True),
    )
    call.wrote()
    return Answer(
        _body(call, repository, hook),
        status=201,
        headers={"Location": _address(call, repository, hook)},
        background=BackgroundTask(hooks.ping, call.world, repository["id"], hook),
    )


def get_hook(call: Call) -> Answer:
    """GET …/hooks/{id}."""
    repository = call.repository(READ_HOOKS)
    return Answer(_body(call, repository, _found(call, repository)))


def update_hook(call: Call) -> Answer:
    """PATCH …/hooks/{id}: a secret that is not sent again is gone."""
    repository = call.repository(WRITE_HOOKS)
    hook = _found(call, repository)
    body = call.body
    config = body["config"] if "config" in body else {**hook["config"], "secret": None}
    events = set(_events(body["events"])) if "events" in body else set(hook["events"])
    events |= set(_events(body.get("add_events", [])))
    events -= set(body.get("remove_events", []))
    changed = {
        **hook,
        "config": hooks.clean_config(config),
        "events": sorted(events),
        "active": body.get("active", hook["active"]),
    }
    hooks.check(call.world, repository["id"], changed)
    hooks.save(call.world, repository["id"], changed)
    call.wrote()
    return Answer(_body(call, repository, changed))


def get_config(call: Call) -> Answer:
    """GET …/hooks/{id}/config."""
    repository = call.repository(READ_HOOKS)
    return Answer(_masked(_found(call, repository)))


def update_config(call: Call) -> Answer:
    """PATCH …/hooks/{id}/config: only the keys that are named change."""
    repository = call.repository(WRITE_HOOKS)
    hook = _found(call, repository)
    keys = ("url", "content_type", "insecure_ssl", "secret")
    named: dict[str, Any] = {key: call.body[key] for key in keys if key in call.body}
    hook["config"] = hooks.clean_config({**hook["config"], **named})
    hooks.check(call.world, repository["id"], hook)
    hooks.save(call.world, repository["id"], hook)
    call.wrote()
    return Answer(_masked(hook))


def delete_hook(call: Call) -> Answer:
    """DELETE …/hooks/{id}."""
    repository = call.repository(WRITE_HOOKS)
    hooks.delete(call.world, repository["id"], _found(call, repository)["id"])
    call.wrote()
    return Answer(status=204)


def ping_hook(call: Call) -> Answer:
    """POST …/hooks/{id}/pings: 204 at once; the delivery shows how it went."""
    repository = call.repository(READ_HOOKS)
    hook = _found(call, repository)
    task = BackgroundTask(hooks.ping, call.world, repository["id"], hook)
    return Answer(status=204, background=task)


def list_deliveries(call: Call) -> Answer:
    """GET …/hooks/{id}/deliveries."""
    repository = call.repository(READ_HOOKS)
    found = hooks.deliveries(call.world, _found(call, repository))
    return call.page([{key: one[key] for key in one if key not in {"request", "response"}} for one in found])


def get_delivery(call: Call) -> Answer:
    """GET …/hooks/{id}/deliveries/{delivery}."""
    repository = call.repository(READ_HOOKS)
    for one in hooks.deliveries(call.world, _found(call, repository)):
        if one["id"] == call.parameter("delivery"):
            return Answer(one)
    raise not_found()


def _found(call: Call, repository: Document) -> dict[str, Any]:
    hook = hooks.find(call.world, repository["id"], call.parameter("hook"))
    if hook is None:
        raise not_found()
    return hook


def _events(given: object) -> list[str]:
    if not isinstance(given, list) or not all(event in EVENTS for event in given):
        raise validation_failed(
            "Hook", "custom", field="events", message="These events are not allowed for this hook"
        )
    return given


def _masked(hook: Document) -> dict[str, Any]:
    secret = {"secret": MASK} if "secret" in hook["config"] else {}
    return {**hook["config"], **secret}


def _address(call: Call, repository: Document, hook: Document) -> str:
    return f"{call.api}/repos/{repository['owner']}/{repository['name']}/hooks/{hook['id']}"


def _body(call: Call, repository: Document, hook: Document) -> dict[str, Any]:
    address = _address(call, repository, hook)
    return {
        "type": "Repository",
        "id": hook["id"],
        "name": "web",
        "active": hook["active"],
        "events": hook["events"],
        "config": _masked(hook),
        "updated_at": hook["updatedAt"],
        "created_at": hook["createdAt"],
        "url": address,
        "test_url": f"{address}/test",
        "ping_url": f"{address}/pings",
        "deliveries_url": f"{address}/deliveries",
        "last_response": hook["lastResponse"],
    }
