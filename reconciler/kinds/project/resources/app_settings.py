"""The project's entry at the auth-service: its name, and settings that its environment reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from reconciler.clients.auth_service import (
    AuthProject,
    AuthService,
    AuthServiceSettings,
    AuthServiceWriter,
    CredentialHealth,
)
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled
from reconciler.model.json import Json, Object, canonical, digest, json_object
from reconciler.model.mark import MANAGER, Whose
from reconciler.model.observation import Absent, Known, Observation, Remembered, Seen, State
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

MARK = "meshSix"
"""The settings key with our mark, the repository's name for people, and under `sets` which keys we set."""
GIVEN_UP = "givenUp"
"""In our mark: the project that had the entry is no more, and whoever has that slug next may have it."""
USED_BEFORE = "usedBefore"
"""The same: the entry was taken over from such a one, and has the record of its logins."""
OURS = frozenset({MARK, "cloudflareDomain", "terminalStreamingRate"})
"""The settings keys that this resource may set or remove. All others belong to somebody else."""


class AppSettingsState(State):
    """The entry's name and our part of its settings; `readable` False: the settings are no JSON object."""

    display_name: str
    settings: Mapping[str, Any] = Field(default_factory=dict)
    readable: bool = True


class AppSettings(Resource[ProjectSpec, AppSettingsState]):
    """One project's entry at the auth-service.

    It never deletes an entry, never touches settings keys that are not its own (nor the Claude and MCP files
    kept there), and leaves a key of its own alone that the project file does not set and that it never set.
    """

    name: ClassVar[str] = "settings"
    phase: ClassVar[str] = "auth_settings"
    system: ClassVar[str] = "auth-service"
    state: ClassVar[type[State]] = AppSettingsState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    uses: ClassVar[tuple[str, ...]] = ("registry",)
    audited: ClassVar[bool] = True
    settings: ClassVar[tuple[type[Settings], ...]] = (AuthServiceSettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.DELETE, OnRemove.KEEP)
    kept: ClassVar[str] = "the entry at the auth-service"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[AppSettingsState]]:
        """Read one by one those that are new, whose file changed, or whose audit is due."""
        service = read.get(AuthService)
        found: dict[str, Observation[AppSettingsState]] = {}
        due: list[Target[ProjectSpec]] = []
        for target in targets:
            desired = _desired(target, str(target.remembered.get("repository", "")))
            if not target.verify and target.remembered == _outputs(desired):
                found[target.slug] = Remembered(desired, target.verified_at)
            else:
                due.append(target)
        return found | read_each(due, read, lambda target: _seen(service.project(target.slug)))

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[AppSettingsState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Compare the name and the keys that the project file sets."""
        desired = _desired(target, str(outputs["validate-repo"]["fullName"]))
        if isinstance(seen, Absent):
            return _needed(target, Action.CREATE, "make the project's entry", {}, desired)
        before = seen.state
        if conflict := _conflict(target, before):
            return conflict
        wanted = AppSettingsState(
            display_name=desired.display_name, settings=_merged(target, before.settings, desired)
        )
        if wanted == before:
            return Settled(_outputs(desired))
        action, summary = (
            (Action.UPDATE, "set")
            if _whose(target, before).ours or _is_given_up(before)
            else (Action.ADOPT, "take over the entry and set")
        )
        summary = f"{summary} name and settings"
        return _needed(target, action, summary, _shown(before), wanted)

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Read the entry anew, and write it only if it differs: every write restarts what reads it."""
        service = write.get(AuthServiceWriter)
        desired = _desired_again(target, AppSettingsState.model_validate(change.after))
        project = service.project(target.slug)
        if project is None:
            text = canonical(desired.settings)
            service.create_project(target.slug, display_name=desired.display_name, settings_json=text)
            return Settled(_outputs(desired))
        if conflict := _conflict(target, _state(project)):
            return conflict
        found = _object(project.settings_json) or {}
        merged = _merged(target, found, desired)
        if merged != found or project.display_name != desired.display_name:
            text = canonical(merged)
            service.update_project(target.slug, display_name=desired.display_name, settings_json=text)
        return Settled(_outputs(desired))

    def plan_removal(
        self, target: Target[ProjectSpec], seen: Seen[AppSettingsState], wish: OnRemove
    ) -> Decision:
        """Give the entry up in the end: the auth-service has no request that deletes one."""
        if isinstance(seen, Absent) or not _whose(target, seen.state).ours or _is_given_up(seen.state):
            return Settled(note="" if isinstance(seen, Absent) else f"the entry {target.slug} is not ours")
        if wish is OnRemove.DISABLE:
            return Settled(target.remembered)
        keys = sorted(OURS & seen.state.settings.keys() - {MARK})
        summary = "take our settings out of the entry, and let the next project of that name have it"
        return Needed(Change(target.id, self.name, Action.DELETE, summary, before={"keys": keys}))

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Read the entry anew; leave in it what others put there, and a mark that says that it is free."""
        service = write.get(AuthServiceWriter)
        project = service.project(target.slug)
        if project is None or not is_ours(target, project):
            return Settled()
        found = _object(project.settings_json) or {}
        left = {key: value for key, value in found.items() if key not in OURS}
        mark: Object = {**target.mark.words("managedBy"), GIVEN_UP: True}
        text = canonical({**left, MARK: mark})
        service.update_project(target.slug, display_name=project.display_name, settings_json=text)
        return Settled()


def is_ours(target: Target[ProjectSpec], project: AuthProject) -> bool:
    """Tell whether an entry is the project's: only then is anything believed that it says of logins."""
    return _whose(target, _state(project)).ours


def logged_in(target: Target[ProjectSpec], service: AuthService, health: CredentialHealth | None) -> bool:
    """Tell whether a project can log in by what its entry has.

    That there is something to refresh is told of all logins that an entry ever had. Where another project
    had it before, that counts only once this one has had a login.
    """
    if health is None or not health.present:
        return False
    if health.has_valid_credential or target.remembered.get("login"):
        return True
    project = service.project(target.slug)
    mark = _state(project).settings.get(MARK) if project else None
    return not (isinstance(mark, Mapping) and mark.get(USED_BEFORE) is True)


def _desired(target: Target[ProjectSpec], full_name: str) -> AppSettingsState:
    """Return what is desired where GitHub writes the repository like this; another name is not believed."""
    spec = target.spec.spelled(full_name)
    wishes: dict[str, Any] = {
        "cloudflareDomain": spec.settings.cloudflare_domain,
        "terminalStreamingRate": spec.settings.terminal_streaming_rate,
    }
    settings = {key: value for key, value in wishes.items() if value is not None}
    mark = {**target.mark.words("managedBy"), "repository": spec.full_name, "sets": sorted(settings)}
    return AppSettingsState(
        display_name=spec.display_name or spec.repo_name, settings={MARK: mark, **settings}
    )


def _desired_again(target: Target[ProjectSpec], wanted: AppSettingsState) -> AppSettingsState:
    """Return what was desired when an entry was wanted so, which has others' values too."""
    return _desired(target, wanted.settings[MARK]["repository"])


def _merged(
    target: Target[ProjectSpec], found: Mapping[str, Any], desired: AppSettingsState
) -> dict[str, Any]:
    """Return the settings with ours set, and those of ours removed that we set once and the file has lost."""
    # Marks had no `sets` once; then the status file has them.
    mark = found.get(MARK)
    once = mark.get("sets", target.remembered.get("keys")) if isinstance(mark, Mapping) else None
    named = {key for key in once if isinstance(key, str)} if isinstance(once, list | tuple) else set()
    dropped = OURS & named - desired.settings.keys()
    ours = dict(desired.settings)
    if isinstance(mark, Mapping) and (mark.get(GIVEN_UP) or mark.get(USED_BEFORE)):
        ours[MARK] = {**desired.settings[MARK], USED_BEFORE: True}
    return {**{key: value for key, value in found.items() if key not in dropped}, **ours}


def _conflict(target: Target[ProjectSpec], found: AppSettingsState) -> Failed | None:
    if not found.readable:
        return Failed(
            f"the settings of {target.slug} at the auth-service are no JSON object",
            remedy="correct its settingsJson there",
            conflict=True,
        )
    whose = _whose(target, found)
    if target.spec.adopt or whose.ours or _is_given_up(found):
        return None
    mark = found.settings.get(MARK)
    repository = mark.get("repository") if isinstance(mark, Mapping) else None
    named = f" for {repository}" if isinstance(repository, str) else ""
    return Failed(
        f"the auth-service has a project {target.slug}{named} that {whose.history}",
        remedy="choose another slug:, or write adopt: true in the project file to take it over",
        conflict=True,
    )


def _whose(target: Target[ProjectSpec], found: AppSettingsState) -> Whose:
    mark = found.settings.get(MARK)
    if not isinstance(mark, Mapping):
        return Whose.FOREIGN
    if "identity" not in mark:
        # Marks named the repository once, and no slug: the entry's name is that.
        mark = {**mark, target.item.kind: target.slug}
    return target.mark.whose(mark, "managedBy")


def _is_given_up(found: AppSettingsState) -> bool:
    mark = found.settings.get(MARK)
    return isinstance(mark, Mapping) and mark.get("managedBy") == MANAGER and mark.get(GIVEN_UP) is True


def _seen(project: AuthProject | None) -> Known[AppSettingsState] | Absent:
    return Known(_state(project)) if project else Absent()


def _state(project: AuthProject) -> AppSettingsState:
    """Return our part of an entry: other settings may be secret, and stay where they are."""
    found = _object(project.settings_json)
    return AppSettingsState(
        display_name=project.display_name,
        settings={key: value for key, value in (found or {}).items() if key in OURS},
        readable=found is not None,
    )


def _object(text: str | None) -> dict[str, Any] | None:
    """Return the settings as an object; an empty one when never set, None when they are something else."""
    if not text:
        return {}
    try:
        return json_object(text.encode())
    except UnicodeEncodeError:
        return None


def _outputs(desired: AppSettingsState) -> dict[str, Json]:
    return {
        "digest": digest(_shown(desired)),
        "repository": desired.settings[MARK]["repository"],
    }


def _shown(state: AppSettingsState) -> dict[str, Json]:
    return {"displayName": state.display_name, "settings": state.settings}


def _needed(
    target: Target[ProjectSpec], action: Action, summary: str, before: Object, wanted: AppSettingsState
) -> Needed:
    change = Change(target.id, AppSettings.name, action, summary, before, _shown(wanted))
    return Needed(change, outputs=_outputs(_desired_again(target, wanted)))
