"""What is to change in a repository, as meaning and not as text, so that it can be replayed on any head.

Pure over a `Draft`: knows no remote, no commit and no kind by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.git.exclusion import exclude
from reconciler.git.inclusion import Inclusions, included
from reconciler.git.kustomize_paths import followed
from reconciler.git.status_text import HumanKeys, dump_status, load_status, merge
from reconciler.git.tree import Draft
from reconciler.git.yaml_edit import insert_entries
from reconciler.model.errors import Collision
from reconciler.model.item import ItemId
from reconciler.model.json import Object


@dataclass(frozen=True)
class Guard:
    """The edit stands only while this path of the config repository holds this blob.

    `or_gone`: also when nothing is there any more.
    """

    path: str
    blob: str
    or_gone: bool = False

    def holds(self, draft: Draft) -> bool:
        """Tell whether that file is still as it was."""
        entry = draft.entry(self.path)
        return self.or_gone if entry is None else entry.id == self.blob

    @property
    def broken(self) -> tuple[str, str]:
        """Why it no longer holds, and what comes of that."""
        return f"{self.path} changed meanwhile", "the next pass sees the change"


@dataclass(frozen=True, kw_only=True)
class Edit(ABC):
    """One edit for one item; None for what is nobody's own. Saying it twice is the same as saying it once."""

    item: ItemId | None
    path: str
    guard: Guard | None = None

    @abstractmethod
    def apply(self, draft: Draft) -> bool:
        """Make it so; False when it was so already.

        InvalidFile or Collision when what people put there does not let it.
        """


@dataclass(frozen=True, kw_only=True)
class File(Edit):
    """One file has this content."""

    content: bytes

    def apply(self, draft: Draft) -> bool:
        """Write the file."""
        return draft.put(self.path, self.content)


@dataclass(frozen=True, kw_only=True)
class NewFile(Edit):
    """One file that is not there yet has this content; one that says something else is left alone."""

    content: bytes

    def apply(self, draft: Draft) -> bool:
        """Write the file; Collision when there is another one, or something that is no file."""
        if draft.entry(self.path) is not None and draft.read(self.path) != self.content:
            raise Collision("git", f"{self.path} is there already", remedy="change that one")
        return draft.put(self.path, self.content)


@dataclass(frozen=True, kw_only=True)
class Folder(Edit):
    """A folder is exactly these files, by name; whatever else is in it goes.

    It may be behind links; those stay, and are followed within the repository.
    """

    files: Mapping[str, bytes]

    def apply(self, draft: Draft) -> bool:
        """Write the files and remove the others."""
        path = followed(draft, self.path) or self.path
        others = [name for name in draft.names(path) if not self._has_place(draft, path, name)]
        removed = [draft.remove(f"{path}/{name}") for name in others]
        written = [draft.put(f"{path}/{name}", content) for name, content in self.files.items()]
        return any(written) or any(removed)

    def _has_place(self, draft: Draft, path: str, name: str) -> bool:
        entry = draft.entry(f"{path}/{name}")
        return name in self.files and entry is not None and entry.regular


@dataclass(frozen=True, kw_only=True)
class ListEntry(Edit):
    """A list of a YAML file that people edit too has this entry. A missing file starts as `new_file`."""

    value: str
    key: str = "resources"
    new_file: str = ""

    def apply(self, draft: Draft) -> bool:
        """Insert the line, keeping every other byte."""
        return bool(insert_lines(draft, [self]))


@dataclass(frozen=True, kw_only=True)
class Included(Edit):
    """The build of the folder `root` includes the folder `path`, wherever its line is.

    A root without a kustomization gets `new_file`.
    """

    root: str
    new_file: str = ""

    def apply(self, draft: Draft) -> bool:
        """Add a line where it belongs, unless the tree builds the folder already."""
        entry = self.missing(draft, included(draft, self.root))
        return entry is not None and entry.apply(draft)

    def missing(self, draft: Draft, inclusions: Inclusions) -> ListEntry | None:
        """Return the line that is missing, or None; InvalidFile when nobody can tell."""
        if inclusions.naming(draft, self.path) is not None:
            return None
        file, entry = inclusions.place(draft, self.path)
        return ListEntry(item=self.item, path=file, value=entry, new_file=self.new_file)


@dataclass(frozen=True, kw_only=True)
class Excluded(Edit):
    """The build of the folder `root` does not include the folder `path`, whose files stay."""

    root: str

    def apply(self, draft: Draft) -> bool:
        """Take the line away that names it, keeping every other byte."""
        answer = exclude(draft, self.root, [self.path])[self.path]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(frozen=True, kw_only=True)
class Gone(Edit):
    """There is nothing at the path: no file, and no folder with all that was in it."""

    def apply(self, draft: Draft) -> bool:
        """Remove it."""
        return draft.remove(self.path)


@dataclass(frozen=True, kw_only=True)
class StatusKeys(Edit):
    """A status file says this, except for what people write there.

    `human`: the keys that people write, by top-level section; they stay as they are found at the head.
    `consumed`: what was used of them; such a key goes if it still holds exactly that text.
    `moved_from`: where the file still lies, if that is elsewhere; what people wrote there moves with it.
    """

    moved_from: str = ""
    document: Object
    human: HumanKeys = field(default_factory=dict)
    consumed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def apply(self, draft: Draft) -> bool:
        """Write the file unless it says the same already, in whatever format."""
        content, lies_at = draft.read(self.path), self.path
        if content is None and self.moved_from:
            content, lies_at = draft.read(self.moved_from), self.moved_from
        if content is None:
            return draft.put(self.path, dump_status(self.document))
        found = load_status(lies_at, content)
        wanted = merge(found, self.document, self.human, self.consumed)
        if lies_at != self.path:
            return draft.put(self.path, dump_status(wanted)) | draft.remove(lies_at)
        return found != wanted and draft.put(self.path, dump_status(wanted))


@dataclass(frozen=True, kw_only=True)
class HumanEntry(Edit):
    """One key of a section of a status file holds a text, as a person would have written it there."""

    section: str
    key: str
    value: str

    def apply(self, draft: Draft) -> bool:
        """Set the key; Collision when the file or the section is gone."""
        content = draft.read(self.path)
        if content is None:
            raise Collision("git", f"{self.path} is no file any more")
        found = load_status(self.path, content)
        section = found.get(self.section)
        if not isinstance(section, dict):
            raise Collision("git", f"{self.path} has no section {self.section} any more")
        if section.get(self.key) == self.value:
            return False
        return draft.put(self.path, dump_status({**found, self.section: {**section, self.key: self.value}}))


def insert_lines(draft: Draft, group: Sequence[ListEntry]) -> set[str]:
    """Insert the values that one list lacks, and return those."""
    first = group[0]
    content = draft.read(first.path)
    before = first.new_file.encode() if content is None else content
    after, inserted = insert_entries(first.path, before, first.key, [edit.value for edit in group])
    if inserted:
        draft.put(first.path, after)
    return inserted
