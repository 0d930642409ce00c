"""The project board: found by its marker, made if there is none, and given mesh-six's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from reconciler.clients.github import Board, GitHub, GitHubRepository, GitHubSettings, GitHubWriter
from reconciler.engine.contract import Resource, Target
from reconciler.engine.one_by_one import read_each, unreadable
from reconciler.kinds.project.resources.board_claims import (
    Claim,
    SurplusBoard,
    begun_title,
    claim_of,
    close_empty,
    closest_of,
    counted,
    is_marked,
    marker,
    surplus_note,
    surplus_of,
    title_of,
)
from reconciler.kinds.project.resources.board_fields import (
    FIELD_IDS,
    FIELDS,
    LOWER_NAMES,
    OPTIONS,
    STATUS,
    FieldState,
    missing_columns,
    wrong_columns,
    wrong_types,
)
from reconciler.kinds.project.resources.repository_reads import (
    own_repository,
    read_repositories,
    repository_of,
)
from reconciler.kinds.project.spec import ProjectSpec
from reconciler.model.decision import Action, Applied, Change, Decision, Failed, Needed, Settled
from reconciler.model.errors import SystemFault
from reconciler.model.json import Json, Object
from reconciler.model.observation import Absent, Known, Observation, Seen, State, Unknown
from reconciler.model.removal import OnRemove
from reconciler.settings.giving import Reading, Settings, Writing

CLOSED = "closed"
"""What the status file remembers of a board that was closed because its project's file was removed."""


class BoardState(State):
    """The linked board that comes closest to being ours; fields by name."""

    board_id: str
    number: int
    url: str
    claim: Claim
    closed: bool = False
    fields: Mapping[str, FieldState] = Field(default_factory=dict)
    surplus: tuple[SurplusBoard, ...] = ()


class ProjectBoard(Resource[ProjectSpec, BoardState]):
    """Makes one board for the repository, or finds it by `onboard-id: <repository number>` in its readme.

    Never deletes, renames or unlinks a board, and closes none but a surplus one of ours that holds nothing;
    never changes an existing field, option or item, nor what people wrote into the readme; only adds to
    Status the columns that mesh-six needs. Never touches a board of another owner, whatever it or a status
    file says, nor one that carries another mark or none, unless it has exactly our title and the project
    says `adopt: true`.
    """

    name: ClassVar[str] = "project-board"
    phase: ClassVar[str] = "initialization"
    system: ClassVar[str] = "GitHub"
    state: ClassVar[type[State]] = BoardState
    needs: ClassVar[tuple[str, ...]] = ("validate-repo",)
    provides: ClassVar[tuple[str, ...]] = ("boardId", "number", "url", "fields", "fieldIds", "statusOptions")
    settings: ClassVar[tuple[type[Settings], ...]] = (GitHubSettings,)
    on_remove: ClassVar[tuple[OnRemove, ...]] = (OnRemove.KEEP, OnRemove.DISABLE)
    kept: ClassVar[str] = "the project board"

    def observe(
        self, targets: Sequence[Target[ProjectSpec]], read: Reading
    ) -> Mapping[str, Observation[BoardState]]:
        """Look among the linked boards; only a repository with more than five is asked by itself."""
        there, missing = read_repositories(targets, read)
        found: dict[str, Observation[BoardState]] = {**missing}
        asked: list[Target[ProjectSpec]] = []
        more: dict[str, list[Board]] = {}
        for target in (target for target in targets if target.slug in there):
            repository = there[target.slug]
            closest = closest_of(repository.boards, repository, target)
            more[target.slug] = surplus_of(repository.boards, closest and closest[1], repository, target)
            if "projectsV2" in repository.unread:
                remedy = "the token needs the scope project"
                found[target.slug] = Unknown("GitHub did not tell all of the repository's boards", remedy)
            elif repository.more_boards and (closest is None or closest[0] != "marked"):
                asked.append(target)
            else:
                found[target.slug] = _seen(closest)
        found |= read_each(asked, read, lambda target: _look(target, there[target.slug], read, more))
        return {**found, **_with_surplus(found, more, read)}

    def plan(
        self, target: Target[ProjectSpec], seen: Seen[BoardState], outputs: Mapping[str, Object]
    ) -> Decision:
        """Return the board's ids, or the change that completes it."""
        if not self._manages(outputs["validate-repo"].get("ownerType")):
            return Failed(
                f"{target.spec.repo_owner} is a user, and a GitHub App or fine-grained token cannot manage "
                "the boards of users",
                remedy="use a classic token of that user with the scope project, or move the repository "
                "to an organization",
            )
        if isinstance(seen, Absent):
            after: Object = {"title": title_of(target.spec), "fields": list(FIELDS)}
            summary = "create the project board, linked and with its fields"
            return Needed(Change(target.id, self.name, Action.CREATE, summary, after=after))
        state = seen.state
        if state.claim == "titled" and not target.spec.adopt:
            return _conflict(state.url, target)
        data_types = {name: field.data_type for name, field in state.fields.items()}
        if wrong := wrong_types(data_types, state.url) or wrong_columns(state.fields, state.url):
            return wrong
        return self._update(target, state) or Settled(_outputs(state), note=_note(state, state.surplus))

    def apply(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Find or make the board, then mark it, then add what it lacks; each step is safe to repeat."""
        github = write.get(GitHubWriter)
        repository = repository_of(target, github)
        title = title_of(target.spec.spelled(repository.full_name))
        begun = begun_title(repository.number)
        board, linked = _search(target, repository, github)
        claim = claim_of(board, repository, target) if board else None
        if board and claim == "titled" and not target.spec.adopt:
            return _conflict(board.url, target)
        if board is None:
            # The marker goes into the readme, which cannot be written with the creation. Until it is written,
            # the title says whose board it is: a pass that is killed in between finds it by that.
            board = github.create_board(
                owner_id=repository.owner_id, repository_id=repository.id, title=begun
            )
        elif board.id not in {each.id for each in repository.boards}:
            github.link_board(board.id, repository.id)
        if not is_marked(board.readme, repository.number):
            readme = f"{board.readme.rstrip()}\n\n{marker(repository.number)}\n".lstrip()
            github.update_board(board.id, title=title if board.title == begun else board.title, readme=readme)
        if board.closed and target.remembered.get(CLOSED):
            github.close_board(board.id, closed=False)
            board = replace(board, closed=False)
        done = _complete(board, github)
        left = close_empty(surplus_of(linked, board, repository, target), github)
        return replace(done, note=_note(board, left)) if isinstance(done, Settled) else done

    def plan_removal(self, target: Target[ProjectSpec], seen: Seen[BoardState], wish: OnRemove) -> Decision:
        """Close it where the file asks for that; what is in it stays, and it is reopened with the file."""
        if isinstance(seen, Absent) or seen.state.claim != "marked":
            return Settled()
        if seen.state.closed:
            return Settled(target.remembered, note=f"the board {seen.state.url}, closed, stays")
        summary = f"close the board {seen.state.url}"
        return Needed(Change(target.id, self.name, Action.DISABLE, summary, {CLOSED: False}, {CLOSED: True}))

    def apply_removal(self, target: Target[ProjectSpec], change: Change, write: Writing) -> Applied:
        """Look for it by its marker once more, and close it."""
        github = write.get(GitHubWriter)
        repository = own_repository(target, github)
        board = _search(target, repository, github)[0] if repository else None
        if repository and board and claim_of(board, repository, target) == "marked" and not board.closed:
            github.close_board(board.id)
        return Settled({**target.remembered, CLOSED: True})

    def _manages(self, owner_type: Json) -> bool:
        return owner_type != "User" or self.sections.get(GitHubSettings).manages_boards_of_users

    def _update(self, target: Target[ProjectSpec], state: BoardState) -> Needed | None:
        missing = [name for name in FIELDS if name not in state.fields]
        missing += [f"the column {name}" for name in missing_columns(state.fields)]
        empty = [each.url for each in state.surplus if each.items == 0]
        reopens = state.closed and bool(target.remembered.get(CLOSED))
        if state.claim == "marked" and not (missing or empty or reopens):
            return None
        summary = f"add {', '.join(missing)} to the board {state.url}"
        if reopens:
            summary = f"reopen the board {state.url}"
        elif not missing:
            summary = f"close what is empty, and was made beside the board {state.url}: {', '.join(empty)}"
        action = Action.UPDATE
        if state.claim == "titled":
            action, summary = Action.ADOPT, f"adopt the board {state.url}"
        elif state.claim == "begun":
            summary = f"finish the board {state.url}"
        before: Object = {"board": state.url, "fields": sorted(state.fields)}
        after: Object = {"board": state.url, "fields": sorted({*state.fields, *FIELDS})}
        return Needed(Change(target.id, self.name, action, summary, before, after))


def _look(
    target: Target[ProjectSpec], repository: GitHubRepository, read: Reading, more: dict[str, list[Board]]
) -> Observation[BoardState]:
    boards = read.get(GitHub).linked_boards(repository.id)
    closest = closest_of(boards, repository, target)
    more[target.slug] = surplus_of(boards, closest and closest[1], repository, target)
    return _seen(closest)


def _with_surplus(
    found: Mapping[str, Observation[BoardState]], more: Mapping[str, Sequence[Board]], read: Reading
) -> Mapping[str, Observation[BoardState]]:
    """Return those that have surplus boards, with what these hold: one request, and none where none is."""
    ids = [board.id for each in more.values() for board in each]
    if not ids:
        return {}
    try:
        items = read.get(GitHub).items_of(ids)
    except SystemFault as fault:
        return {slug: unreadable(fault) for slug, each in more.items() if each}
    return {
        slug: Known(seen.state.model_copy(update={"surplus": counted(more[slug], items)}))
        for slug, seen in found.items()
        if isinstance(seen, Known) and more.get(slug)
    }


def _note(board: Board | BoardState, surplus: Sequence[SurplusBoard]) -> str:
    return surplus_note(board.url, surplus) or ("the board is closed on GitHub" if board.closed else "")


def _seen(closest: tuple[Claim, Board] | None) -> Known[BoardState] | Absent:
    return Known(_state(*closest)) if closest else Absent()


def _search(
    target: Target[ProjectSpec], repository: GitHubRepository, github: GitHub
) -> tuple[Board | None, Sequence[Board]]:
    """Return the board that is ours, or in the way, wherever it is, since a create may follow; all linked."""
    linked = github.linked_boards(repository.id) if repository.more_boards else repository.boards
    closest = closest_of(linked, repository, target)
    if closest and closest[0] == "marked":
        return closest[1], linked
    unlinked = [
        *github.owned_boards(repository.owner_login, begun_title(repository.number)),
        *github.owned_boards(repository.owner_login, title_of(target.spec.spelled(repository.full_name))),
    ]
    remembered = target.remembered.get("boardId")
    if isinstance(remembered, str) and (board := github.board(remembered)):
        unlinked.append(board)
    found = closest_of([*linked, *unlinked], repository, target)
    return found[1] if found else None, linked


def _complete(board: Board, github: GitHubWriter) -> Applied:
    fields = {field.name: field for field in board.fields}
    if wrong := wrong_types({field.name: field.data_type for field in board.fields}, board.url):
        return wrong
    for name in FIELDS:
        if name not in fields:
            fields[name] = github.create_field(board.id, name, OPTIONS.get(name, ()))
    state = _state("marked", replace(board, fields=tuple(fields.values())))
    if wrong := wrong_columns(state.fields, state.url):
        return wrong
    if missing_columns(state.fields):
        fields[STATUS] = github.add_options(fields[STATUS].id, OPTIONS[STATUS])
        state = _state("marked", replace(board, fields=tuple(fields.values())))
    return Settled(_outputs(state))


def _conflict(url: str, target: Target[ProjectSpec]) -> Failed:
    return Failed(
        f"the board {url} is called {title_of(target.spec)}, but was not made by us",
        remedy="write adopt: true to use it, or rename it to have another one made",
        conflict=True,
    )


def _state(claim: Claim, board: Board) -> BoardState:
    return BoardState(
        board_id=board.id,
        number=board.number,
        url=board.url,
        claim=claim,
        closed=board.closed,
        fields={
            field.name: FieldState(id=field.id, data_type=field.data_type, options=field.options)
            for field in board.fields
            if field.name.lower() in LOWER_NAMES
        },
    )


def _outputs(state: BoardState) -> Object:
    status = state.fields.get(STATUS)
    options: Json = dict(sorted(status.options.items())) if status else {}
    return {
        "boardId": state.board_id,
        "number": state.number,
        "url": state.url,
        "fields": {name: state.fields[name].id for name in FIELDS},
        "fieldIds": {key: state.fields[name].id for key, name in FIELD_IDS.items()},
        "statusOptions": options,
    }
