"""Builds any number of settled projects in a sandbox, far faster than a pass would.

Two projects are really onboarded by the reconciler, with and without a login. All others are copies: the same
folders, files, rows and secrets under other names, put into the servers directly. Whether the copies are
right is not decided here: a pass over them must find nothing to do.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx
import psycopg
from pydantic import SecretStr

from bench.bounds import OWNERS
from reconciler.clients.auth_service import AuthServiceWriter
from reconciler.clients.github import GitHub, GitHubRepository, RepositoryName
from reconciler.clients.litellm import LiteLLMWriter
from reconciler.clients.pass_store import PassStoreWriter
from reconciler.clients.s3 import ObjectStoreWriter
from reconciler.crypto import ssh_keys
from reconciler.engine.configuration import load_sections
from reconciler.engine.contract import Target
from reconciler.engine.cycle import Cycle
from reconciler.faces.sealed_entry import seal_for
from reconciler.git.edits import Edit, File, Folder, ListEntry
from reconciler.git.manifest_tree import ManifestTree
from reconciler.git.status_text import dump_status
from reconciler.kinds import KINDS
from reconciler.kinds.project import vault_paths
from reconciler.kinds.project.manifests.devcontainer_text import DEFAULT_PATH, default_text
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import Inputs, render_environment
from reconciler.kinds.project.resources.board_claims import marker, title_of
from reconciler.kinds.project.resources.board_fields import FIELD_IDS, FIELDS, OPTIONS, STATUS
from reconciler.kinds.project.resources.git_access import title as key_title
from reconciler.kinds.project.resources.hooks import NOTE
from reconciler.kinds.project.resources.litellm_team import key_alias
from reconciler.kinds.project.resources.organization_webhook import OrganizationWebhook
from reconciler.kinds.project.spec import KIND, ProjectSpec
from reconciler.kinds.project.tables.registry_rows import RegistryRow, RegistryWriter
from reconciler.model.decision import Action, Change, Settled
from reconciler.model.item import Item, ItemId, Source
from reconciler.model.json import Object, canonical, digest
from reconciler.model.mark import Mark
from reconciler.model.status_file import status_path
from reconciler.sandbox.supervisor import Sandbox
from reconciler.settings.giving import Reading, Writing

AT_ONCE = 4
BASE = "k8s/base"
HOOK_URL = "https://hooks.mesh-six.example/github"
TOKENS = {"accessToken": "access", "refreshToken": "refresh", "expiresAt": 1_900_000_000_000}

_COPY_RUN = """
    INSERT INTO onboarding_runs (id, repo_owner, repo_name, status, current_phase, completed_activities)
    SELECT %(id)s, %(repo_owner)s, %(repo_name)s, status, current_phase, completed_activities
    FROM onboarding_runs WHERE id = %(template)s
"""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Member:
    """One project of the bench. Every second one has no login (`skipAuth`)."""

    number: int

    @property
    def owner(self) -> str:
        return f"bench{self.number % OWNERS}"

    @property
    def name(self) -> str:
        return f"p{self.number:05}"

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def slug(self) -> str:
        return f"{self.owner}-{self.name}"

    @property
    def id(self) -> ItemId:
        return ItemId(KIND, self.slug)

    @property
    def logs_in(self) -> bool:
        return self.number % 2 == 0

    @property
    def file(self) -> bytes:
        skip = "" if self.logs_in else "skipAuth: true\n"
        return f"repoOwner: {self.owner}\nrepoName: {self.name}\n{skip}".encode()

    def renamed(self, text: str, template: Member) -> str:
        """Return what the template's text would be for this project."""
        for old, new in ((template.slug, self.slug), (template.full_name, self.full_name)):
            text = text.replace(old, new)
        return text.replace(template.name, self.name)


@dataclass(frozen=True)
class Made:
    """What is new about a copy: GitHub's answers, and what Vault holds for it. `versions` by Vault path.

    `organization`: the outputs of `organization-webhook`.
    """

    member: Member
    repository: GitHubRepository
    hook: int
    public_key: str
    versions: Mapping[str, str]
    organization: Object


def cycle_of(sandbox: Sandbox) -> Cycle:
    """Return passes over the sandbox."""
    return Cycle(load_sections(sandbox.configuration_file(), sandbox.environment()), KINDS)


def build(sandbox: Sandbox, count: int, say: Callable[[str], None] = lambda line: None) -> None:
    """Bring so many settled projects into an empty sandbox."""
    say("onboarding two projects as they should be")
    templates = (Member(0), Member(1))
    _onboard(sandbox, templates)
    say(f"copying them {count - 2} times")
    copies = [Member(number) for number in range(2, count)]
    cycle = cycle_of(sandbox)
    writing = Writing(cycle.sections)
    try:
        made = _Copies(sandbox, cycle, writing, templates).make(copies)
        _commit(cycle, templates, made)
    finally:
        writing.close()
    say("letting Argo CD deploy them")
    _pass_time(sandbox)


def _onboard(sandbox: Sandbox, members: Sequence[Member]) -> None:
    """Let the reconciler do it; a skipped minute stands for every wait for Argo CD."""
    cycle = cycle_of(sandbox)
    wanted = [{"owner": member.owner, "name": member.name} for member in members]
    sandbox.emulator("github", "POST", "/_emulator/repositories", wanted)
    cycle.repositories.config.fetch()
    files = [_project_file(member) for member in members]
    cycle.repositories.config.push(files, "Merge two projects")
    cycle.run()
    _pass_time(sandbox)
    cycle.run()
    for member in members:
        if member.logs_in:
            seal_for(cycle, member.slug, json.dumps(TOKENS).encode(), only_print=False)
    result = cycle.run()
    wrong = [each for each in result.reports if str(each.status) != "completed"]
    if wrong or result.problems:
        raise RuntimeError(f"the reconciler could not onboard {wrong or result.problems}")


def _pass_time(sandbox: Sandbox) -> None:
    """Let Argo CD poll, sync and build: each look lets happen what fell due since the one before."""
    for _ in range(4):
        sandbox.emulator("argocd", "POST", "/_emulator/skip", {"seconds": 30})


def _project_file(member: Member) -> Edit:
    return File(item=member.id, path=f"projects/{member.slug}.yaml", content=member.file)


class _Copies:
    """Puts copies of the templates into every system but git."""

    def __init__(
        self, sandbox: Sandbox, cycle: Cycle, writing: Writing, templates: tuple[Member, Member]
    ) -> None:
        self._sandbox = sandbox
        self._sections = cycle.sections
        self._writing = writing
        self._templates = templates
        # Made here, since several threads use them and `get` is for one.
        self._gateway = writing.get(LiteLLMWriter)
        self._auth = writing.get(AuthServiceWriter)

    def make(self, members: Sequence[Member]) -> list[Made]:
        """Make everything; in an order in which each knows the ids that it needs."""
        keys = [ssh_keys.generate() for _ in members]
        hook_secrets = [secrets.token_hex(32) for _ in members]
        llm_keys = [f"sk-{secrets.token_urlsafe(32)}" for _ in members]
        secret_values = [
            {
                f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(member.full_name)}": (
                    "secret",
                    hook_secret,
                    {},
                ),
                f"{vault_paths.ENVIRONMENTS}/{member.slug}.git-access": (
                    "privateKey",
                    key.private.get_secret_value(),
                    {"public-key": key.public},
                ),
                f"{vault_paths.ENVIRONMENTS}/{member.slug}.llm-key": ("key", llm_key, {}),
            }
            for member, key, hook_secret, llm_key in zip(members, keys, hook_secrets, llm_keys, strict=True)
        ]
        hooks = self._github(members, [key.public for key in keys], hook_secrets)
        found = self._read_github(members)
        marks = [_mark(member, found[member]) for member in members]
        versions = self._vault(members, marks, secret_values, hooks)
        organizations = self._organizations(members)
        made = [
            Made(member, found[member], hook, key.public, version, organizations[member.owner])
            for member, hook, key, version in zip(members, hooks, keys, versions, strict=True)
        ]
        _each(self._litellm, list(zip(made, llm_keys, strict=True)))
        _each(self._auth_service, made)
        store = self._writing.get(ObjectStoreWriter)
        _each(lambda member: store.put_marker(f"repos/{member.full_name}/.keep"), members)
        self._postgres(made)
        return made

    def _organizations(self, members: Sequence[Member]) -> dict[str, Object]:
        """Have the resource itself make the organizations' webhooks, which are few."""
        resource = OrganizationWebhook(self._sections)
        made: dict[str, Object] = {}
        for member in {member.owner: member for member in members}.values():
            source = Source(f"projects/{member.slug}.yaml", "0" * 40)
            item = Item(member.slug, KIND, _spec(member), source)
            target = Target(item, datetime.now(UTC))
            change = Change(target.id, resource.name, Action.CREATE, "make it, or find it")
            done = resource.apply(target, change, self._writing)
            if not isinstance(done, Settled):
                raise TypeError(f"the webhook of {member.owner} could not be made: {done}")
            made[member.owner] = done.outputs
        return made

    def _admin(self, path: str, wishes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []
        for start in range(0, len(wishes), 50):
            answers += self._sandbox.emulator(
                "github", "POST", f"/_emulator/{path}", wishes[start : start + 50]
            )
        return answers

    def _github(
        self, members: Sequence[Member], public_keys: Sequence[str], hook_secrets: Sequence[str]
    ) -> list[int]:
        """Make repositories, boards, deploy keys and hooks; return the hooks' ids."""
        text = default_text(self._sections.get(PodsSettings))
        repositories = self._admin(
            "repositories",
            [{"owner": each.owner, "name": each.name, "files": {DEFAULT_PATH: text}} for each in members],
        )
        self._admin("projects", [_board(*pair) for pair in zip(members, repositories, strict=True)])
        self._admin(
            "keys",
            [
                {
                    "repository": each.full_name,
                    "key": key,
                    "title": key_title(each.slug),
                    "readOnly": False,
                }
                for each, key in zip(members, public_keys, strict=True)
            ],
        )
        hooks = self._admin(
            "hooks",
            [
                {
                    "repository": each.full_name,
                    "events": ["issue_comment", "issues", "pull_request", "pull_request_review", "push"],
                    "config": {
                        "url": HOOK_URL,
                        "content_type": "json",
                        "insecure_ssl": "0",
                        "secret": secret,
                    },
                }
                for each, secret in zip(members, hook_secrets, strict=True)
            ],
        )
        return [int(hook["id"]) for hook in hooks]

    def _read_github(self, members: Sequence[Member]) -> dict[Member, GitHubRepository]:
        """Read what GitHub made of it, with the client that passes use."""
        reading = Reading(self._sections)
        try:
            names = {each: RepositoryName(each.owner, each.name) for each in members}
            found = reading.get(GitHub).repositories(names.values())
        finally:
            reading.close()
        read = {each: found[name] for each, name in names.items()}
        return {each: one for each, one in read.items() if isinstance(one, GitHubRepository)}

    def _vault(
        self,
        members: Sequence[Member],
        marks: Sequence[Mark],
        values: Sequence[Mapping[str, tuple[str, str, Mapping[str, str]]]],
        hooks: Sequence[int],
    ) -> list[Mapping[str, str]]:
        environment = self._sandbox.environment()
        headers = {"X-Vault-Token": environment["VAULT_TOKEN"]}
        with httpx.Client(base_url=f"{environment['VAULT_ADDR']}/v1/secret", headers=headers) as client:

            def write(
                given: tuple[Member, Mark, Mapping[str, tuple[str, str, Mapping[str, str]]], int],
            ) -> dict[str, str]:
                member, mark, secrets_of_member, hook = given
                versions = {}
                for path, (key, value, more) in secrets_of_member.items():
                    answer = client.post(f"/data/{path}", json={"data": {key: value}}).raise_for_status()
                    created = datetime.fromisoformat(answer.json()["data"]["created_time"])
                    version = f"1 of {created.strftime('%Y-%m-%dT%H:%M:%SZ')}"
                    versions[path.rpartition("/")[2]] = version
                    about = {**mark.words(), **more}
                    if path == f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(member.full_name)}":
                        about[NOTE] = f"{hook}: {version}"
                    client.post(f"/metadata/{path}", json={"custom_metadata": about}).raise_for_status()
                return versions

            return _each(write, list(zip(members, marks, values, hooks, strict=True)))

    def _litellm(self, given: tuple[Made, str]) -> None:
        made, value = given
        member, client = made.member, self._gateway
        team = f"gh-{made.repository.number}"
        mark = _mark(member, made.repository).words("managed_by")
        client.create_team(
            {
                "team_id": team,
                "team_alias": member.full_name,
                "models": [],
                "max_budget": None,
                "budget_duration": None,
                "metadata": {**mark, "default_model": None},
            }
        )
        version = made.versions[f"{member.slug}.llm-key"]
        client.register_key(
            SecretStr(value),
            {
                "key_alias": key_alias(member.slug),
                "team_id": team,
                "metadata": {**mark, "vault_version": version},
            },
        )

    def _auth_service(self, made: Made) -> None:
        member, client = made.member, self._auth
        client.create_project(member.slug, display_name=member.name, settings_json=canonical(_settings(made)))
        if member.logs_in:
            client.push_credentials(
                member.slug,
                access_token=SecretStr("access"),
                refresh_token=SecretStr("refresh"),
                expires_at=datetime.fromtimestamp(1_900_000_000, UTC),
            )

    def _postgres(self, made: Sequence[Made]) -> None:
        registry, store = self._writing.get(RegistryWriter), self._writing.get(PassStoreWriter)
        rows = {row.service_name: row for row in registry.registered([t.slug for t in self._templates], [])}
        for each in made:
            template = self._templates[each.member.number % 2]
            registry.register(_row(each, rows[template.slug], template), over=None)
            _copy_run(store, each.member, template)
        verified = store.memory().verified
        store.save_verifications(
            {
                (each.member.id, resource): replace(seen, proof=str(each.repository.number))
                for each in made
                for (item, resource), seen in verified.items()
                if item == self._templates[each.member.number % 2].id
            }
        )


def _copy_run(store: PassStoreWriter, member: Member, template: Member) -> None:
    names = {"id": member.slug, "repo_owner": member.owner, "repo_name": member.name}
    store.rows(_COPY_RUN, {**names, "template": template.slug})


def forget_verifications(sandbox: Sandbox, every: int) -> None:
    """Let the next pass read every so-manieth project one by one."""
    with psycopg.connect(sandbox.environment()["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "DELETE FROM reconciler_item_verifications WHERE right(slug, 5)::int %% %s = 0", (every,)
        )


def _mark(member: Member, repository: GitHubRepository) -> Mark:
    return Mark(KIND, member.slug, str(repository.number))


def _settings(made: Made) -> dict[str, Any]:
    mark = _mark(made.member, made.repository).words("managedBy")
    return {"meshSix": {**mark, "repository": made.member.full_name, "sets": []}}


def _spec(member: Member) -> ProjectSpec:
    return ProjectSpec.model_validate({"repoOwner": member.owner, "repoName": member.name})


def _board(member: Member, repository: Mapping[str, Any]) -> dict[str, Any]:
    options = {
        field: [{"name": name, "color": color, "description": ""} for name, color in given]
        for field, given in OPTIONS.items()
    }
    return {
        "owner": member.owner,
        "title": title_of(_spec(member)),
        "readme": f"{marker(repository['id'])}\n",
        "creator": "mesh-six",
        "repositories": [member.full_name],
        "fields": [
            {"name": name, "dataType": kind, "options": options.get(name, [])}
            for name, kind in FIELDS.items()
        ],
    }


def _board_outputs(repository: GitHubRepository) -> dict[str, Any]:
    board = repository.boards[0]
    fields = {field.name: field for field in board.fields}
    return {
        "boardId": board.id,
        "number": board.number,
        "url": board.url,
        "fields": {name: fields[name].id for name in FIELDS},
        "fieldIds": {key: fields[name].id for key, name in FIELD_IDS.items()},
        "statusOptions": dict(sorted(fields[STATUS].options.items())),
    }


def _row(made: Made, row: RegistryRow, template: Member) -> RegistryRow:
    board = _board_outputs(made.repository)
    metadata = {
        **json.loads(made.member.renamed(json.dumps(row.metadata), template)),
        "repoOwner": made.member.owner,
        "repositoryId": made.repository.number,
        "repositoryNodeId": made.repository.id,
        "boardNumber": board["number"],
        "boardUrl": board["url"],
        "fieldIds": board["fields"],
        "projectFieldIds": board["fieldIds"],
        "statusOptions": board["statusOptions"],
    }
    url = made.member.renamed(row.repo_url, template)
    return replace(
        row, service_name=made.member.slug, repo_url=url, board_id=board["boardId"], metadata=metadata
    )


def _commit(cycle: Cycle, templates: tuple[Member, Member], made: Sequence[Made]) -> None:
    """Commit environments, project files and status files, one commit for each repository."""
    statuses = cycle.load().statuses
    pods = cycle.sections.get(PodsSettings)
    manifests: list[Edit] = []
    config: list[Edit] = []
    for each in made:
        member, template = each.member, templates[each.member.number % 2]
        spec = {"repoOwner": member.owner, "repoName": member.name, "skipAuth": not member.logs_in}
        inputs = Inputs(
            branch=each.repository.default_branch or "main",
            git_access=each.public_key,
            llm_key=each.versions[f"{member.slug}.llm-key"],
            devcontainer=DEFAULT_PATH,
            identity=str(each.repository.number),
        )
        files = render_environment(ProjectSpec.model_validate(spec), member.slug, pods, inputs)
        manifests += [
            Folder(item=member.id, path=f"{BASE}/envs/{member.slug}", files=files),
            ListEntry(item=member.id, path=f"{BASE}/kustomization.yaml", value=f"envs/{member.slug}"),
        ]
        status = _status(each, statuses[template.id], template, ManifestTree.id_of(files))
        content = dump_status(status)
        config += [_project_file(member), File(item=member.id, path=status_path(member.id), content=content)]
    cycle.repositories.manifests.push(manifests, f"Environments of {len(made)} copies")
    cycle.repositories.config.push(config, f"Projects and status of {len(made)} copies")


def _status(made: Made, status: Mapping[str, Any], template: Member, tree: str) -> dict[str, Any]:
    member, repository = made.member, made.repository
    old_id = status["repository"]["id"]
    text = member.renamed(json.dumps(status), template)
    copy: dict[str, Any] = json.loads(text.replace(f"login-{old_id}-", f"login-{repository.number}-"))
    outputs = {name: entry.get("outputs", {}) for name, entry in copy["resources"].items()}
    outputs["validate-repo"] |= {
        "nodeId": repository.id,
        "id": repository.number,
        "ownerId": repository.owner_id,
    }
    outputs["project-board"] |= _board_outputs(repository)
    outputs["webhook-secret"]["version"] = made.versions[member.slug]
    outputs["webhook-secret"]["path"] = f"{vault_paths.WEBHOOKS}/{vault_paths.webhook_name(member.full_name)}"
    outputs["llm-key"]["path"] = f"{vault_paths.ENVIRONMENTS}/{member.slug}.llm-key"
    outputs["webhook"] |= {"hookId": made.hook, "secretVersion": made.versions[member.slug]}
    outputs["organization-webhook"] |= made.organization
    outputs["git-access"]["publicKey"] = made.public_key
    outputs["llm-key"]["version"] = made.versions[f"{member.slug}.llm-key"]
    outputs["recordings"]["prefix"] = f"repos/{member.full_name}/"
    outputs["manifests"]["tree"] = outputs["sync"]["synced"] = tree
    outputs["litellm"]["teamId"] = f"gh-{repository.number}"
    outputs["settings"]["digest"] = digest({"displayName": member.name, "settings": _settings(made)})
    copy["repository"] = {"owner": member.owner, "name": member.name, "id": repository.number}
    copy["identity"] = {"claim": f"repository {member.full_name}", "proof": str(repository.number)}
    return copy


def _each(act: Callable[[T], U], things: Iterable[T]) -> list[U]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(act, things))
