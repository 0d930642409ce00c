"""Asking for items, and handing over what they wait for; the same for every face and every kind.

All of it is in git: what is asked for becomes a file, a secret becomes a sealed entry in a status file. Knows
no HTTP and no MCP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from pydantic import SecretStr

from reconciler.crypto.sealing import Opened, SealingSettings, unseal
from reconciler.engine.item_file import parse
from reconciler.engine.kind import Kinds
from reconciler.faces.catalogue import Catalogue
from reconciler.faces.item_view import Proposed
from reconciler.faces.proposals import Proposals, path_of
from reconciler.faces.sealed_entry import Request, commit_entry, request_of, sealed_text
from reconciler.git.applied_edits import Fate
from reconciler.git.edits import NewFile
from reconciler.git.status_text import dump_status
from reconciler.model.errors import Conflict, UnknownItem
from reconciler.model.item import Item, ItemId
from reconciler.model.json import Json
from reconciler.model.loaded import Loaded
from reconciler.model.outcome import ItemReport
from reconciler.model.status_file import mapping
from reconciler.settings.giving import Sections

log = structlog.get_logger()

HEADING = "# Asked for through the API. From here on it is a file like any other.\n"


class Desk:
    """Where callers ask. `proposals` None: files are committed, and no pull request is opened.

    `wake` is called with a reason after a commit that a pass should look at.
    """

    def __init__(
        self,
        sections: Sections,
        catalogue: Catalogue,
        *,
        proposals: Proposals | None,
        wake: Callable[[str], None] = lambda reason: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.catalogue = catalogue
        self._sections = sections
        self._proposals = proposals
        self._wake = wake
        self._clock = clock

    @property
    def kinds(self) -> Kinds:
        """The kinds that can be asked for."""
        return self.catalogue.kinds

    def ask(self, kind: str, values: Mapping[str, Json]) -> tuple[ItemReport, bool]:
        """Ask for an item, with the fields of its file: by pull request or commit. Tell also if it is new.

        The same request again gives the same item. UnknownItem for no kind, Conflict when something else is
        asked for or there already, InvalidFiles when no file can be made of it.
        """
        text, item = self._file(kind, values)
        with self.catalogue.alone():
            config = self.catalogue.config
            snapshot = config.fetch()
            view = self.catalogue.read(snapshot)
            assert view.loaded is not None  # noqa: S101 - just read
            if standing := _standing(view.loaded, item):
                return view.reports[standing], False
            title = f"Onboard {item.spec.title}"
            if self._proposals:
                url, new = self._proposals.open(snapshot, item, text, title)
                view = self.catalogue.read(config.fetch(), also={item.id: Proposed(item, url, "open")})
                log.info("item proposed", item=str(item.id), pull_request=url, new=new)
                return view.reports[item.id], new
            pushed = config.push([NewFile(item=item.id, path=item.source.path, content=text)], title)
            for written in pushed.fates(Fate.REFUSED):
                raise Conflict(written.reason, remedy=written.remedy)
            view = self.catalogue.read(pushed.snapshot)
        if pushed.commit:
            log.info("item committed", item=str(item.id), commit=pushed.commit)
            self._wake(f"{item.id} was asked for")
        return view.reports[item.id], bool(pushed.commit)

    def hand_over(self, item: ItemId, content: bytes) -> ItemReport:
        """Seal what an item waits for and commit it; the same again changes nothing.

        UnknownItem, Conflict when nothing is asked for or something else is on its way, UsageError when it is
        not what is asked for.
        """
        with self.catalogue.alone():
            config = self.catalogue.config
            view = self.catalogue.read(config.fetch())
            assert view.loaded is not None  # noqa: S101 - just read
            if item not in view.loaded.statuses:
                if item in view.reports:
                    raise Conflict(
                        f"{item.slug} does not ask for anything yet", remedy="ask again after its first pass"
                    )
                raise UnknownItem(
                    f"there is no {item.kind} {item.slug}", remedy="GET /items lists what there is"
                )
            request = request_of(view.loaded, self.kinds, item, self._sections)
            if self._is_on_its_way(view.loaded, item, request, content):
                return view.reports[item]
            text = sealed_text(request, item, content, self._clock())
            commit = commit_entry(config, view.loaded, item, request, text)
            view = self.catalogue.read(config.fetch())
        log.info("secret sealed and committed", item=str(item), commit=commit)
        self._wake(f"{item} was handed its secret")
        return view.reports[item]

    def _is_on_its_way(self, loaded: Loaded, item: ItemId, request: Request, content: bytes) -> bool:
        """Tell whether the very same waits to be taken; Conflict when something else does."""
        section = mapping(loaded.statuses[item].get(request.section))
        entry = section.get(request.form.key)
        if section.get("state") in {"sealed", "stored"} and not entry:
            # Whoever calls again after that repeats himself; another one is asked for, or sealed by hand.
            raise Conflict(
                f"{item.slug} has what it asked for",
                remedy="seal another one with `reconcile seal`, or have it ask again",
            )
        if not isinstance(entry, str) or section.get("state") == "rejected":
            return False
        opened = unseal(entry, self._sections.get(SealingSettings).keys, item)
        given = request.form.read(content, self._clock())
        if isinstance(opened, Opened) and not isinstance(given, str) and opened.fields == _plain(given):
            return True
        raise Conflict(
            f"something else for {item.slug} is on its way already",
            remedy="wait for the next pass to take it",
        )

    def _file(self, kind: str, values: Mapping[str, Json]) -> tuple[bytes, Item[Any]]:
        if kind not in self.kinds:
            raise UnknownItem(f"there is no kind {kind}", remedy=f"known kinds: {', '.join(self.kinds)}")
        first = self.kinds.first is not None and self.kinds.first.name == kind
        fields = {key: value for key, value in values.items() if key != "kind"}
        text = dump_status(fields if first else {"kind": kind, **fields}, HEADING)
        # Where it goes depends on the slug, which only the parsed file tells.
        slug = parse("", text, self.kinds, sections=self._sections).slug
        return text, parse(path_of(ItemId(kind, slug), self.kinds), text, self.kinds)


def _plain(fields: Mapping[str, str | int | SecretStr]) -> dict[str, Any]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in fields.items()
    }


def _standing(loaded: Loaded, item: Item[Any]) -> ItemId | None:
    """Return the item that is there and asks for the same; Conflict when it asks for something else."""
    for each in loaded.items:
        if each.kind != item.kind:
            continue
        if each.spec.claim() == item.spec.claim():
            if each.spec.asks_the_same(item.spec):
                return each.id
            remedy = f"change {each.source.path} by a pull request"
            raise Conflict(f"{each.source.path} asks for something else for {each.slug}", remedy=remedy)
        if each.slug == item.slug:
            remedy = "add a file with another `slug:` to projects/ by a pull request"
            raise Conflict(f"the slug {item.slug} is taken by {each.source.path}", remedy=remedy)
    for broken in loaded.broken:
        if broken.path == item.source.path:
            raise Conflict(f"{broken.path} is there and broken: {broken.message}", remedy=broken.remedy)
    return None
