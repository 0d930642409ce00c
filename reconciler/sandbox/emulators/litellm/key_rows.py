"""What is kept of a key, and the ways in which LiteLLM shows one: as made, listed, changed and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any


def _empty(names: str) -> dict[str, None]:
    return dict.fromkeys(names.split())


ADMIN = "default_user_id"
"""Who has made everything that the admin key makes."""
ROW: Mapping[str, Any] = {
    "token": None, "key_name": None, "key_alias": None, "soft_budget_cooldown": False, "spend": 0.0,
    "total_spend": 0.0, "expires": None, "models": [], "aliases": {}, "config": {}, "router_settings": {},
    "user_id": None, "team_id": None, "agent_id": None, "project_id": None, "permissions": {},
    "max_parallel_requests": None, "metadata": {}, "blocked": None, "tpm_limit": None, "rpm_limit": None,
    "tpd_limit": None, "max_budget": None, "budget_duration": None, "budget_reset_at": None,
    "allowed_cache_controls": [], "allowed_routes": [], "key_type": "default", "policies": [],
    "access_group_ids": [], "model_spend": {}, "model_max_budget": {}, "budget_fallbacks": {},
    "budget_id": None, "organization_id": None, "object_permission_id": None, "created_at": None,
    "created_by": ADMIN, "updated_at": None, "updated_by": ADMIN, "settings_updated_at": None,
    "last_active": None, "rotation_count": 0, "auto_rotate": False, "rotation_interval": None,
    "last_rotation_at": None, "key_rotation_at": None, "budget_limits": None, "litellm_budget_table": None,
    "litellm_organization_table": None, "litellm_project_table": None, "object_permission": None,
    "jwt_key_mappings": None,
}  # fmt: skip
# Of the row, what the answer to /key/generate leaves out, and what it has beside it.
_NOT_WHEN_MADE = _empty(
    "soft_budget_cooldown total_spend budget_reset_at model_spend object_permission_id settings_updated_at "
    "last_active rotation_count auto_rotate rotation_interval last_rotation_at key_rotation_at "
    "litellm_organization_table litellm_project_table jwt_key_mappings"
)
_ROUTER_SETTINGS: Mapping[str, Any] = {
    **_empty(
        "routing_strategy_args routing_strategy routing_groups retry_policy model_group_retry_policy "
        "model_group_affinity_config allowed_fails cooldown_time num_retries timeout max_retries retry_after "
        "fallbacks context_window_fallbacks enable_tag_filtering weights tag_routing_prefix "
        "optional_pre_call_checks"
    ),
    "model_group_alias": {},
}
_WHEN_MADE: Mapping[str, Any] = {
    **_empty(
        "duration model_rpm_limit model_tpm_limit mcp_rpm_limit tag_rpm_limit guardrails prompts policies "
        "default_estimated_output_tokens default_estimated_output_tokens_per_model end_user_budget_id tags "
        "disable_global_guardrails enable_prompt_caching throttle_on_budget_exceeded enforced_params "
        "allowed_passthrough_routes denied_passthrough_routes allowed_vector_store_indexes rpm_limit_type "
        "tpm_limit_type"
    ),
    "router_settings": _ROUTER_SETTINGS,
}
# The same for a row of /key/list: it is shown as a caller's whole context would be, nearly all of it empty.
_NOT_LISTED = _empty(
    "policies organization_id litellm_organization_table litellm_project_table jwt_key_mappings"
)
_LISTED: Mapping[str, Any] = {
    **_empty(
        "org_id team_spend team_alias team_tpm_limit team_rpm_limit team_tpd_limit team_max_budget "
        "team_soft_budget team_model_max_budget soft_budget team_model_aliases team_member team_metadata "
        "team_object_permission_id team_member_spend team_member_tpm_limit team_member_rpm_limit end_user_id "
        "end_user_tpm_limit end_user_rpm_limit end_user_tpd_limit end_user_max_budget "
        "end_user_model_max_budget organization_alias organization_max_budget organization_tpm_limit "
        "organization_rpm_limit organization_metadata project_alias project_metadata last_refreshed_at "
        "api_key user_role allowed_model_region parent_otel_span rpm_limit_per_model tpm_limit_per_model "
        "user_tpm_limit user_rpm_limit user_email user_spend user_max_budget user_model_max_budget "
        "request_route user created_by_user end_user_object_permission team_object_permission "
        "jwt_claims"
    ),
    "team_models": [],
    "team_blocked": False,
    "is_session_token": False,
}
_NOT_WHEN_DELETED = _empty("token policies litellm_organization_table litellm_project_table jwt_key_mappings")


def made(row: Mapping[str, Any], value: str) -> dict[str, Any]:
    """Return a key as the answer to making it: the only one with the value."""
    return {**_without(row, _NOT_WHEN_MADE), **_WHEN_MADE, "key": value, "token_id": row["token"]}


def listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as /key/list shows it."""
    return {**_without(row, _NOT_LISTED), **_LISTED}


def changed(row: Mapping[str, Any], asked: str) -> dict[str, Any]:
    """Return a key as the answer to changing it."""
    return {**_with_offsets(row), "key": asked}


def alone(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as /key/info shows it."""
    return {**_without(_with_offsets(row), ["token"]), "status": "revoked" if row["blocked"] else "active"}


def deleted(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deleted key as /key/info shows it."""
    return {**_without(_with_offsets(row), _NOT_WHEN_DELETED), "status": "deleted"}


def timestamp(clock: Callable[[], datetime]) -> str:
    """Return the time as the database keeps it: to the millisecond, written with six digits and Z."""
    return clock().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "000Z"


def _without(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    hidden = set(names)
    return {name: value for name, value in row.items() if name not in hidden}


def _with_offsets(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with its times written with `+00:00`, as some routes do."""
    return {
        name: f"{value[:-1]}+00:00" if value and name.endswith("_at") else value
        for name, value in row.items()
    }
