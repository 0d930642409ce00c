"""The project's team at the LLM gateway, with its monthly budget and models, and our key registered to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from reconciler.clients.litellm import Key, LiteLLM, LiteLLMSettings, LiteLLMWriter, Team
from reconciler.clients.vault import Vault
from reconciler.engine.contract import Orphan, Owners, Resource, Target
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.kinds.project.vault_paths import ENVIRONMENTS
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled, Skipped
from reconciler.model.errors import Missing
from reconciler.model.json import Json, Object
from reconciler.model.mark import Mark, Whose
from reconciler.model.observation import Absent, Known, Observation, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

MARKER = "managed_by"
MONTHLY = "1mo"
"""Resets on the first of the calendar month. A budget without a duration is never reset."""
PUT_ASIDE = "offboarding"
"""The key's metadata that say that we blocked it; one that somebody else blocked stays so."""
_UNSET: Mapping[str, Json] = {"models": [], "maxBudget": None, "budgetDuration": None, "defaultModel": None}
"""What a team has when nobody set anything: every model, no budget, no default model. Keys as in plans.

None of these need be wished for, by the project's file or by the settings. A value that nobody here wished
for may be the proxy's own default or an administrator's choice, so it stays. But one that we set ourselves,
and that nobody wishes for any more, has to go back to what it is here. The team itself cannot tell the two
apart, so its metadata list under `sets` which of these fields we set.
"""


class TeamState(State):
    """A team. `sets`: the fields of `_UNSET` that we set."""

    whose: Whose = Whose.OURS
    sets: tuple[str, ...] = ()
    alias: str | None = None
    models: tuple[str, ...] = ()
    max_budget: float | None = None
    budget_duration: str | None = None
    default_model: str | None = None


class KeyState(State):
    """A key. `version` is the Vault version of the value that was registered.

    `put_aside`: it was us who blocked it, when the project's file was gone.
    `surplus`: how many further keys of ours have its alias, which two requests at once can bring about.
    """

    whose: Whose = Whose.OURS
    team_id: str | None = None
    version: str | None = None
    blocked: bool = False
    put_aside: bool = False
    surplus: int = 0


class LiteLLMState(State):
    """The team and the key that have our names."""

    team: TeamState | None = None
    key: KeyState | None = None


class LiteLLMTeam(Resource[ProjectSpec, LiteLLMState]):
    """Creates or updates one team and one key, both found again by names that follow from the project.

    Never deletes a team or a key (a key whose secret was rotated is renamed and blocked), never touches one
    without our marker unless told to adopt the team. Leaves alone spend, members, others' metadata and model
    aliases, and limits that it did not set: a budget or list of models goes only when it was ours and nobody
    wishes for one any more.
    """

    name: ClassVar[str] = "litellm"
    phase: ClassVar[str] = "auth_settings"
    system: ClassVar[str] = "LiteLLM"
    state: ClassVar[type[State]] = LiteLLMState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo", "llm-key")
    provides: ClassVar[tuple[str, ...]] = ("teamId",)
    settings: ClassVar[tuple[type[Settings], ...]] = (LiteLLMSettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.DISABLE, OnRemove.KEEP)
    kept: ClassVar[str] = "the team and its key"

    def unwanted(self, target: Target[ProjectSpec]) -> Skipped | None:
        """No team where the project file says so."""
        if target.spec.skip_lite_llm:
            return Skipped("skipLiteLLM is set in the project's file")
        return None

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[LiteLLMState]]:
        """Find the project's team by its id and its key by its alias, in the pages of all."""
        client = read.get(LiteLLM)
        found: dict[str, Observation[LiteLLMState]] = {}
        for target in targets:
            team = client.teams.get(_team_id(target))
            key = _key_state(client.keys.get(key_alias(target.slug), ()), target.mark)
            state = LiteLLMState(team=team and _team_state(team, target.mark), key=key)
            found[target.slug] = Known(state) if team or key else Absent()
        return found

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[LiteLLMState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare what we set; everything else of a team or key is somebody else's."""
        team_id = _team_id(target)
        state = LiteLLMState() if isinstance(seen, Absent) else seen.state
        team, key = state.team, state.key
        if key and not key.whose.ours:
            return Failed(
                f"LiteLLM has a key {key_alias(target.slug)} that {key.whose.history}",
                "its value is not known to anybody here: rename or delete it in LiteLLM",
                conflict=True,
            )
        if team and not team.whose.ours and not target.spec.adopt:
            return _conflict(team_id, team.whose)
        wishes = self._wishes(target)
        sets = team.sets if team else ()
        after: dict[str, Json] = {
            "team": team_id,
            "alias": target.spec.litellm.team_alias
            or target.spec.spelled(str(outputs["validate-repo"]["fullName"])).full_name,
            **{name: unset for name, unset in _UNSET.items() if name in sets},
            **wishes,
            "keyVersion": outputs["llm-key"]["version"],
        }
        before = _before(team_id, team, key, after)
        marked = team and team.whose is Whose.OURS
        usable = not key or (key.whose is Whose.OURS and not key.put_aside)
        if marked and usable and before == after and {*sets} == {*wishes}:
            return Settled({"teamId": team_id})
        action = Action.CREATE if not team else Action.UPDATE if team.whose.ours else Action.ADOPT
        of_key = {"keyVersion": None, "surplusKeys": 0}
        only_key = marked and {**before, **of_key} == {**after, **of_key}
        what = f"the key of team {after['alias']}" if only_key else f"team {after['alias']}"
        summary = what if before.get("keyVersion") or only_key else f"{what} with a key"
        return Needed(Change(target.id, self.name, action, summary, before, after), {"teamId": team_id})

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Make the team so, then register the key that Vault holds."""
        client = write.get(LiteLLMWriter)
        team_id = str(change.after["team"])
        team = client.team(team_id)
        if team is None:
            client.create_team({"team_id": team_id, **_team_fields(target.mark, change.after, None)})
        elif (whose := _whose(team.metadata, target.mark)).ours or target.spec.adopt:
            client.update_team({"team_id": team_id, **_team_fields(target.mark, change.after, team)})
        else:
            return _conflict(team_id, whose)
        self._register(target, change, client, write)
        return Settled({"teamId": team_id})

    def plan_removal(self, target: Target[ProjectSpec], seen: Seen[LiteLLMState], wish: OnRemove) -> Decision:
        """Block the key at once, and delete it in the end. The team stays: what was spent is told by it."""
        key = None if isinstance(seen, Absent) else seen.state.key
        team: Object = {"teamId": _team_id(target)}
        if key is None or not key.whose.ours:
            return Settled(team, note=f"the team {_team_id(target)}, with what it has spent, stays")
        alias = key_alias(target.slug)
        if wish is OnRemove.DELETE:
            change = Change(target.id, self.name, Action.DELETE, f"delete the key {alias}", {"key": alias})
            return Needed(change)
        if not key.blocked or not key.put_aside:
            change = Change(
                target.id,
                self.name,
                Action.DISABLE,
                f"block the key {alias}",
                {"key": alias},
                {"blocked": True},
            )
            return Needed(change, team)
        return Settled(team)

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Block or delete every key of that alias that carries our mark."""
        client = write.get(LiteLLMWriter)
        for key in client.keys_named(key_alias(target.slug)):
            if not _whose(key.metadata, target.mark).ours:
                continue
            if change.action is Action.DELETE:
                client.delete_key(key.token)
            else:
                metadata = {**(key.metadata or {}), PUT_ASIDE: True}
                client.update_key(key.token, {"blocked": True, "metadata": metadata})
        return Settled({"teamId": _team_id(target)})

    def orphans(self, owners: Owners, read: Reading) -> Sequence[Orphan]:
        """Look through all teams and keys."""
        client = read.get(LiteLLM)
        found: list[Orphan] = []
        for team_id, team in client.teams.items():
            found += owners.orphan(self.name, f"team {team_id}", team.metadata or {}, MARKER)
        for alias, keys in client.keys.items():
            for key in keys:
                found += owners.orphan(self.name, f"key {alias}", key.metadata or {}, MARKER)
        return found

    def _register(
        self, target: Target[ProjectSpec], change: Change, client: LiteLLMWriter, write: Writing
    ) -> None:
        secret = write.get(Vault).read(f"{ENVIRONMENTS}/{target.slug}.llm-key")
        if secret is None:
            raise Missing("Vault", "the key to register is gone; the next pass makes a new one")
        alias, value = key_alias(target.slug), secret.data["key"]
        registered = client.key(value)
        kept = dict((registered and registered.metadata) or {})
        back = {"blocked": False} if kept.pop(PUT_ASIDE, None) else {}
        fields = {
            **back,
            "key_alias": alias,
            "team_id": change.after["team"],
            "metadata": {**kept, **target.mark.words(MARKER), "vault_version": change.after["keyVersion"]},
        }
        # Keys of ours with that alias and another value are from before the secret was rotated, or of a
        # request that was late. An alias is unique in LiteLLM, so they give it up; they are blocked and not
        # deleted.
        for old in client.keys_named(alias):
            if _whose(old.metadata, target.mark).ours and not (registered and old.token == registered.token):
                client.update_key(old.token, {"key_alias": f"{alias}/{old.token[:12]}", "blocked": True})
        if registered is not None:
            client.update_key(registered.token, fields)
        else:
            client.register_key(value, fields)

    def _wishes(self, target: Target[ProjectSpec]) -> dict[str, Json]:
        """Return what the project's file, or else the settings, want of what may be left open."""
        settings = self.sections.get(LiteLLMSettings)
        spec = target.spec.litellm
        budget = settings.max_budget if spec.max_budget is None else spec.max_budget
        wishes: dict[str, Json] = {}
        if spec.default_model:
            wishes |= {"models": [spec.default_model], "defaultModel": spec.default_model}
        elif settings.models:
            wishes["models"] = sorted(set(settings.models))
        if budget is not None:
            wishes |= {"maxBudget": budget, "budgetDuration": MONTHLY}
        return wishes


def key_alias(slug: str) -> str:
    """Return the alias of a project's key, unique across the proxy."""
    return f"mesh-six/{slug}"


def _before(team_id: str, team: TeamState | None, key: KeyState | None, after: Object) -> dict[str, Json]:
    """Return what was seen, in the words and with the fields of `after`."""
    before: dict[str, Json] = {}
    if team:
        seen = team.model_dump(mode="json", by_alias=True)
        before |= {"team": team_id, **{name: seen[name] for name in ("alias", *_UNSET) if name in after}}
    if key and key.team_id == team_id:
        before["keyVersion"] = key.version
    if key and key.surplus:
        before["surplusKeys"] = key.surplus
    return before


def _team_fields(mark: Mark, after: Object, team: Team | None) -> dict[str, Any]:
    """Return LiteLLM's fields; those that it replaces as a whole keep what others put there."""
    sets = sorted(name for name, unset in _UNSET.items() if after.get(name, unset) != unset)
    names = {"alias": "team_alias", "models": "models", "maxBudget": "max_budget"}
    names["budgetDuration"] = "budget_duration"
    fields: dict[str, Any] = {theirs: after[ours] for ours, theirs in names.items() if ours in after}
    metadata = {**((team and team.metadata) or {}), **mark.words(MARKER), "sets": sets}
    if "defaultModel" in after:
        model = after["defaultModel"]
        aliases = dict(team.model_aliases) if team else {}
        for kept, name in ((aliases, "default"), (metadata, "default_model")):
            kept.pop(name, None)
            if model:
                kept[name] = model
        fields["model_aliases"] = aliases
    return {**fields, "metadata": metadata}


def _team_id(target: Target[ProjectSpec]) -> str:
    return f"gh-{target.proof}"


def _whose(metadata: Mapping[str, Any] | None, mark: Mark) -> Whose:
    return mark.whose(metadata or {}, MARKER)


def _team_state(team: Team, mark: Mark) -> TeamState:
    sets = (team.metadata or {}).get("sets")
    model = team.model_aliases.get("default")
    return TeamState(
        whose=_whose(team.metadata, mark),
        sets=tuple(name for name in sets if name in _UNSET) if isinstance(sets, list) else (),
        alias=team.team_alias,
        models=tuple(sorted(set(team.models))),
        max_budget=team.max_budget,
        budget_duration=team.budget_duration,
        default_model=model if isinstance(model, str) else None,
    )


def _key_state(keys: Sequence[Key], mark: Mark) -> KeyState | None:
    """Return the one that is ours, or else any: a stranger's key beside ours is not in the way."""
    own = [each for each in keys if _whose(each.metadata, mark).ours]
    key = next(iter([*own, *keys]), None)
    if key is None:
        return None
    version = (key.metadata or {}).get("vault_version")
    return KeyState(
        whose=_whose(key.metadata, mark),
        team_id=key.team_id,
        version=version if isinstance(version, str) else None,
        blocked=bool(key.blocked),
        put_aside=bool((key.metadata or {}).get(PUT_ASIDE)),
        surplus=max(0, len(own) - 1),
    )


def _conflict(team_id: str, whose: Whose) -> Failed:
    remedy = "set `adopt: true` in the project's file to take it over"
    return Failed(f"LiteLLM has a team {team_id} that {whose.history}", remedy, conflict=True)
