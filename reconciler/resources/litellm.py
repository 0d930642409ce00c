"""The project's team at the LLM gateway, with its monthly budget and models, and our key registered to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from reconciler.clients.litellm import Key, LiteLLM, LiteLLMSettings, LiteLLMWriter, Team
from reconciler.clients.vault import Vault
from reconciler.errors import Collision, Missing
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.json import Json, Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.project_spec import ProjectSpec
from reconciler.resources.contract import Resource, Target
from reconciler.resources.vault_paths import ENVIRONMENTS
from reconciler.systems import Reading, Settings, Writing

MANAGER = "mesh-six-reconciler"
MONTHLY = "1mo"
"""Resets on the first of the calendar month; without a duration a budget never resets (facts §6)."""


class TeamState(State):
    """What we set of a team; `ours` when it carries our marker for this project."""

    ours: bool
    alias: str | None = None
    models: tuple[str, ...] = ()
    max_budget: float | None = None
    budget_duration: str | None = None
    default_model: str | None = None


class KeyState(State):
    """What we set of a key. `version` is the Vault version of the value that was registered."""

    ours: bool
    team_id: str | None = None
    version: str | None = None


class LiteLLMState(State):
    """The team and the key; None for one that is not there."""

    team: TeamState | None = None
    key: KeyState | None = None


class LiteLLMTeam(Resource[ProjectSpec, LiteLLMState]):
    """Creates or updates one team and one key, both found again by names that follow from the project.

    Never deletes a team or a key (a key whose secret was rotated is renamed and blocked), never touches one
    without our marker unless told to adopt the team, and leaves spend, members and limits of others alone.
    """

    name: ClassVar[str] = "litellm"
    phase: ClassVar[str] = "auth_settings"
    system: ClassVar[str] = "LiteLLM"
    state: ClassVar[type[State]] = LiteLLMState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "llm-key")
    provides: ClassVar[tuple[str, ...]] = ("teamId",)
    settings: ClassVar[tuple[type[Settings], ...]] = (LiteLLMSettings,)

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | None:
        """No team where the project file says so."""
        if target.spec.skip_lite_llm:
            return Skipped("skipLiteLLM is set in the project's file")
        return None

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[LiteLLMState]]:
        """Find the project's team by its marker and its key by its alias, in the pages of all."""
        client = read.get(LiteLLM)
        teams = {_project(team): team for team in client.teams.values() if _project(team)}
        found: dict[str, Observation[LiteLLMState]] = {target.slug: Absent() for target in targets}
        for target in targets:
            team_id = target.remembered.get("teamId")
            team = teams.get(target.slug) or client.teams.get(str(team_id))
            key = client.keys.get(key_alias(target.slug))
            if team or key:
                state = LiteLLMState(team=_team_state(team, target.slug), key=_key_state(key, target.slug))
                found[target.slug] = Known(state)
        return found

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[LiteLLMState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare what we set; everything else of a team or key is somebody else's."""
        team_id = f"gh-{outputs['validate-repo']['id']}"
        state = LiteLLMState() if isinstance(seen, Absent) else seen.state
        wanted = self._wanted(target)
        if (refused := _refused(target, state, team_id)) is not None:
            return refused
        version = outputs["llm-key"]["version"]
        key = {"teamId": team_id, "version": version}
        before: dict[str, Json] = {}
        if state.team:
            before |= state.team.model_dump(mode="json", by_alias=True, exclude={"ours"})
        if state.key:
            before["key"] = state.key.model_dump(mode="json", by_alias=True, exclude={"ours"})
        if state.team and state.team.ours and before == {**wanted, "key": key}:
            return Settled({"teamId": team_id})
        action, summary = Action.CREATE, f"team {wanted['alias']} with a key"
        if state.team:
            action = Action.UPDATE if state.team.ours else Action.ADOPT
            summary = f"team {wanted['alias']}" if state.key and before["key"] == key else summary
        after = {**wanted, "key": key, "team": team_id}
        change = Change(target.slug, self.name, action, summary, before, after)
        return Needed(change, {"teamId": team_id})

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Make the team so, then register the key that Vault holds."""
        client = write.get(LiteLLMWriter)
        team_id = str(change.after["team"])
        fields = _team_fields(target.slug, change.after)
        team = client.team(team_id)
        if team is not None and not _is_ours(team.metadata, target.slug) and not target.spec.adopt:
            return _conflict(f"team {team_id} exists and is not ours")
        if team is None:
            try:
                client.create_team({"team_id": team_id, **fields})
            except Collision:
                client.update_team({"team_id": team_id, **fields})
        else:
            metadata = {**(team.metadata or {}), **fields["metadata"]}
            client.update_team({"team_id": team_id, **fields, "metadata": metadata})
        self._register(target, change, client, write)
        return Settled({"teamId": team_id})

    def _register(
        self, target: Target[ProjectSpec], change: Change, client: LiteLLMWriter, write: Writing
    ) -> None:
        secret = write.get(Vault).read(f"{ENVIRONMENTS}/{target.slug}.llm-key")
        if secret is None:
            raise Missing("Vault", "the key to register is gone; the next pass makes a new one")
        alias = key_alias(target.slug)
        key = change.after["key"]
        version = key["version"] if isinstance(key, Mapping) else None
        fields = {
            "key_alias": alias,
            "team_id": change.after["team"],
            "metadata": {**_marker(target.slug), "vault_version": version},
        }
        registered = client.key(secret.data["key"])
        if registered is not None:
            client.update_key(registered.token, fields)
            return
        old = client.key_named(alias)
        if old is not None and _is_ours(old.metadata, target.slug):
            # The secret was rotated. The alias is unique, so the old key gives it up; blocked, not deleted.
            client.update_key(old.token, {"key_alias": f"{alias}/{old.token[:12]}", "blocked": True})
        client.register_key(secret.data["key"], fields)

    def _wanted(self, target: Target[ProjectSpec]) -> dict[str, Json]:
        settings = self.sections.get(LiteLLMSettings)
        spec = target.spec.litellm
        budget = settings.max_budget if spec.max_budget is None else spec.max_budget
        return {
            "alias": spec.team_alias or target.spec.full_name,
            "models": [spec.default_model] if spec.default_model else list(settings.models),
            "maxBudget": budget,
            "budgetDuration": None if budget is None else MONTHLY,
            "defaultModel": spec.default_model,
        }


def key_alias(slug: str) -> str:
    """Return the alias of a project's key, unique across the proxy."""
    return f"mesh-six/{slug}"


def _team_fields(slug: str, after: Object) -> dict[str, Any]:
    model = after["defaultModel"]
    fields: dict[str, Any] = {
        "team_alias": after["alias"],
        "models": after["models"],
        "max_budget": after["maxBudget"],
        "budget_duration": after["budgetDuration"],
        "metadata": {**_marker(slug), "default_model": model},
    }
    if model:
        fields["model_aliases"] = {"default": model}
    return fields


def _marker(slug: str) -> dict[str, Any]:
    return {"managed_by": MANAGER, "project": slug}


def _is_ours(metadata: Mapping[str, Any] | None, slug: str) -> bool:
    return bool(metadata) and all((metadata or {}).get(key) == value for key, value in _marker(slug).items())


def _project(team: Team) -> str:
    metadata = team.metadata or {}
    return str(metadata.get("project") or "") if metadata.get("managed_by") == MANAGER else ""


def _team_state(team: Team | None, slug: str) -> TeamState | None:
    if team is None:
        return None
    return TeamState(
        ours=_is_ours(team.metadata, slug),
        alias=team.team_alias,
        models=team.models,
        max_budget=team.max_budget,
        budget_duration=team.budget_duration,
        default_model=(team.metadata or {}).get("default_model"),
    )


def _key_state(key: Key | None, slug: str) -> KeyState | None:
    if key is None:
        return None
    version = (key.metadata or {}).get("vault_version")
    return KeyState(ours=_is_ours(key.metadata, slug), team_id=key.team_id, version=version)


def _refused(target: Target[ProjectSpec], state: LiteLLMState, team_id: str) -> Failed | None:
    if state.key and not state.key.ours:
        return Failed(
            f"a key called {key_alias(target.slug)} exists and is not ours",
            "its value is not known to anybody here: rename or delete it in LiteLLM",
            conflict=True,
        )
    if state.team and not state.team.ours and not target.spec.adopt:
        return _conflict(f"team {team_id} exists and is not ours")
    return None


def _conflict(reason: str) -> Failed:
    return Failed(reason, "set `adopt: true` in the project's file to take it over", conflict=True)
