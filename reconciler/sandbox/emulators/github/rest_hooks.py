"""Webhooks of repositories and organizations. A secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.background import BackgroundTask

from reconciler.sandbox.emulators.github import hooks
from reconciler.sandbox.emulators.github.call import Answer, Call
from reconciler.sandbox.emulators.github.errors import not_found, validation_failed
from reconciler.sandbox.emulators.github.identity import READ_HOOKS, WRITE_HOOKS, Need

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
OF_ORGANIZATIONS = EVENTS | {
    "membership", "org_block", "organization", "personal_access_token_request", "projects_v2",
    "projects_v2_item", "projects_v2_status_update", "team",
}  # fmt: skip
"""Boards are an organization's: no webhook of a repository can carry what happens on them."""
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """What has webhooks: a repository or an organization."""

    key: str
    type: str
    address: str
    events: frozenset[str]


def list_hooks(call: Call) -> Answer:
    """GET …/hooks."""
    place = _place(call, READ_HOOKS)
    return call.page([_body(place, hook) for hook in hooks.all_of(call.world, place.key)])


def create_hook(call: Call) -> Answer:
    """POST …/hooks; GitHub pings a new hook by itself."""
    place = _place(call, WRITE_HOOKS)
    if call.body.get("name", "web") != "web":
        raise validation_failed("Hook", "invalid", field="name")
    events = _events(place, call.body.get("events", ["push"]))
    hook = hooks.create(
        call.world,
        place.key,
        call.body.get("config"),
        events,
        active=call.body.get("active", True),
    )
    call.wrote()
    return Answer(
        _body(place, hook),
        status=201,
        headers={"Location": _address(place, hook)},
        background=BackgroundTask(hooks.ping, call.world, place.key, hook),
    )


def get_hook(call: Call) -> Answer:
    """GET …/hooks/{id}."""
    place = _place(call, READ_HOOKS)
    return Answer(_body(place, _found(call, place)))


def update_hook(call: Call) -> Answer:
    """PATCH …/hooks/{id}: a secret that is not sent again is gone."""
    place = _place(call, WRITE_HOOKS)
    hook = _found(call, place)
    body = call.body
    config = body["config"] if "config" in body else {**hook["config"], "secret": None}
    events = set(_events(place, body["events"])) if "events" in body else set(hook["events"])
    events |= set(_events(place, body.get("add_events", [])))
    events -= set(body.get("remove_events", []))
    changed = {
        **hook,
        "config": hooks.clean_config(config),
        "events": sorted(events),
        "active": body.get("active", hook["active"]),
    }
    hooks.check(call.world, place.key, changed)
    hooks.save(call.world, place.key, changed)
    call.wrote()
    return Answer(_body(place, changed))


def get_config(call: Call) -> Answer:
    """GET …/hooks/{id}/config."""
    place = _place(call, READ_HOOKS)
    return Answer(_masked(_found(call, place)))


def update_config(call: Call) -> Answer:
    """PATCH …/hooks/{id}/config: only the keys that are named change."""
    place = _place(call, WRITE_HOOKS)
    hook = _found(call, place)
    keys = ("url", "content_type", "insecure_ssl", "secret")
    named: dict[str, Any] = {key: call.body[key] for key in keys if key in call.body}
    hook["config"] = hooks.clean_config({**hook["config"], **named})
    hooks.check(call.world, place.key, hook)
    hooks.save(call.world, place.key, hook)
    call.wrote()
    return Answer(_masked(hook))


def delete_hook(call: Call) -> Answer:
    """DELETE …/hooks/{id}."""
    place = _place(call, WRITE_HOOKS)
    hooks.delete(call.world, place.key, _found(call, place)["id"])
    call.wrote()
    return Answer(status=204)


def ping_hook(call: Call) -> Answer:
    """POST …/hooks/{id}/pings: 204 at once; the delivery shows how it went."""
    place = _place(call, READ_HOOKS)
    hook = _found(call, place)
    task = BackgroundTask(hooks.ping, call.world, place.key, hook)
    return Answer(status=204, background=task)


def list_deliveries(call: Call) -> Answer:
    """GET …/hooks/{id}/deliveries."""
    place = _place(call, READ_HOOKS)
    found = hooks.deliveries(call.world, _found(call, place))
    return call.page([{key: one[key] for key in one if key not in {"request", "response"}} for one in found])


def get_delivery(call: Call) -> Answer:
    """GET …/hooks/{id}/deliveries/{delivery}."""
    place = _place(call, READ_HOOKS)
    for one in hooks.deliveries(call.world, _found(call, place)):
        if one["id"] == call.parameter("delivery"):
            return Answer(one)
    raise not_found()


def _found(call: Call, place: Place) -> dict[str, Any]:
    hook = hooks.find(call.world, place.key, call.parameter("hook"))
    if hook is None:
        raise not_found()
    return hook


def _events(place: Place, given: object) -> list[str]:
    if not isinstance(given, list) or not all(event in place.events for event in given):
        raise validation_failed(
            "Hook", "custom", field="events", message="These events are not allowed for this hook"
        )
    return given


def _masked(hook: Document) -> dict[str, Any]:
    secret = {"secret": MASK} if "secret" in hook["config"] else {}
    return {**hook["config"], **secret}


def _place(call: Call, need: Need) -> Place:
    if "organization" in call.request.path_params:
        owner = call.organization(need.access)
        address = f"{call.api}/orgs/{owner['login']}/hooks"
        return Place(f"org-{owner['id']}", "Organization", address, OF_ORGANIZATIONS)
    repository = call.repository(need)
    address = f"{call.api}/repos/{repository['owner']}/{repository['name']}/hooks"
    return Place(str(repository["id"]), "Repository", address, EVENTS)


def _address(place: Place, hook: Document) -> str:
    return f"{place.address}/{hook['id']}"


def _body(place: Place, hook: Document) -> dict[str, Any]:
    address = _address(place, hook)
    only_repositories = (
        {"test_url": f"{address}/test", "last_response": hook["lastResponse"]}
        if place.type == "Repository"
        else {}
    )
    return {
        "type": place.type,
        "id": hook["id"],
        "name": "web",
        "active": hook["active"],
        "events": hook["events"],
        "config": _masked(hook),
        "updated_at": hook["updatedAt"],
        "created_at": hook["createdAt"],
        "url": address,
        "ping_url": f"{address}/pings",
        "deliveries_url": f"{address}/deliveries",
        **only_repositories,
    }
