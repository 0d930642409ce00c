"""One file of `projects/`, from bytes to a validated item, or to every fault that it has with its place.

Used by the load stage and by `reconcile validate`; knows no kind by name and reads no file.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.engine.file_names import same_name
from reconciler.engine.kind import Kind, Kinds
from reconciler.model.errors import DEFECT, ConfigurationError, InvalidFile, printable
from reconciler.model.item import LONGEST_SLUG, Item, Source, Spec
from reconciler.model.yaml_read import Document, load_yaml
from reconciler.settings.giving import Sections

log = structlog.get_logger()

_LONGEST_SHOWN = 60
_SCHEMA = "see `reconcile schema` for what each field takes"
_EXPLAINED = {
    "string_type": ("must be text", "put the value in quotes"),
    "bool_type": ("must be true or false", "write true or false, without quotes"),
    "float_type": ("must be a number", "write it without quotes and without a unit"),
    "int_type": ("must be a whole number", "write it without quotes, unit and decimal point"),
    "int_from_float": ("must be a whole number", "write it without quotes, unit and decimal point"),
    "model_type": ("must be a mapping", "write its fields below it, indented, or leave it out"),
    "model_attributes_type": ("must be a mapping", "write its fields below it, indented, or leave it out"),
    "finite_number": ("must be a finite number", "write a plain number"),
    "greater_than_equal": ("must be at least {ge:g}", "write a greater number"),
    "less_than_equal": ("must be at most {le:g}", "write a smaller number"),
    "string_too_long": ("has more than {max_length} characters", "make it shorter"),
}
"""By pydantic's type of error: what is wrong, and what to do."""


class InvalidFiles(Exception):
    """All that is wrong with one file."""

    def __init__(self, found: Iterable[InvalidFile]) -> None:
        self.found = tuple(sorted(found, key=lambda error: (error.line, error.column)))
        super().__init__("; ".join(str(error) for error in self.found))


def parse(
    path: str, content: bytes, kinds: Kinds, *, blob: str = "", sections: Sections | None = None
) -> Item[Any]:
    """Return the item of one file; InvalidFiles with every fault that it has.

    `sections` None: nobody knows here what the operator allows.
    """
    try:
        loaded = load_yaml(path, content)
    except InvalidFile as error:
        raise InvalidFiles([error]) from error
    kind = _kind(path, loaded, kinds)
    try:
        spec = kind.spec.model_validate(loaded.values)
    except ValidationError as error:
        raise InvalidFiles(_explain(path, loaded, kind.spec, each) for each in error.errors()) from None
    try:
        contradictions, slug = spec.contradictions(), spec.slug or spec.default_slug()
        breaches = [*kind.removals(spec), *([] if sections is None else kind.limits(sections, spec))]
        spec.claim()  # asked here once, so that nobody after this meets a defect of it
    except ConfigurationError as error:
        raise InvalidFiles([InvalidFile(path, error.message, remedy=error.remedy)]) from error
    except Exception as error:  # a defect that one file meets is that file's, and never the pass's
        log.error("file cannot be judged", path=path, error=type(error).__name__)
        log.debug("traceback", exc_info=True)
        raise InvalidFiles([InvalidFile(path, f"unexpected {type(error).__name__}", remedy=DEFECT)]) from None
    faults = [
        _fault(path, loaded, keys, f"{'.'.join(keys)}: {sentence}", "change one of the two")
        for keys, sentence in contradictions
    ]
    faults += [_fault(path, loaded, each.keys, each.message, each.remedy) for each in breaches]
    if len(slug) > LONGEST_SLUG:
        message = f"the slug that follows from the names, {slug[:_LONGEST_SHOWN]}, has {len(slug)} characters"
        faults.append(
            InvalidFile(path, message, remedy=f"add a `slug:` of at most {LONGEST_SLUG} characters")
        )
    if faults:
        raise InvalidFiles(faults)
    return Item(slug, kind.name, spec, Source(path, blob))


def refuse_clashes(
    items: Iterable[Item[Any]], standing: Set[str] = frozenset()
) -> tuple[list[Item[Any]], list[InvalidFile]]:
    """Refuse every file that names what another file of its kind names, or has its slug, naming both.

    `standing`: paths of files that stand for something that is there already. The one such file of a clash
    stays, and only the newcomers are refused: nobody can stop a project by naming it in a file of his own.
    """
    everyone = list(items)
    errors: dict[str, InvalidFile] = {}
    # What is named in two files also gives one slug twice; another slug would not help there.
    rounds: tuple[tuple[Callable[[Item[Any]], str], str], ...] = (
        (lambda item: str(item.spec.claim()), "keep one of the files"),
        (lambda item: f"slug {item.slug}", "give one of them another `slug:`"),
        (
            lambda item: f"the file name {same_name(item.source.path)}",
            "rename one of them: some disks cannot tell",
        ),
    )
    for claim_of, remedy in rounds:
        claims: dict[tuple[str, str], list[str]] = defaultdict(list)
        for item in everyone:
            claims[item.kind, claim_of(item)].append(item.source.path)
        for (_, claim), paths in claims.items():
            first = [path for path in paths if path in standing]
            refused = [path for path in paths if path not in first] if len(first) == 1 else paths
            for path in refused if len(paths) > 1 else ():
                others = ", ".join(printable(other) for other in sorted(paths) if other != path)
                errors.setdefault(
                    path, InvalidFile(path, f"{claim} is also claimed by {others}", remedy=remedy)
                )
    good = [item for item in everyone if item.source.path not in errors]
    return good, list(errors.values())


def _fault(path: str, loaded: Document, keys: Sequence[str], message: str, remedy: str) -> InvalidFile:
    line, column = loaded.position(tuple(keys))
    return InvalidFile(path, message, line=line, column=column, remedy=remedy)


def _kind(path: str, loaded: Document, kinds: Kinds) -> Kind:
    known = f"known kinds: {', '.join(sorted(kinds)) or 'none'}"
    name = loaded.values.get("kind", kinds.first.name if kinds.first else None)
    if isinstance(name, str) and name in kinds:
        return kinds[name]
    if "kind" not in loaded.values:
        raise InvalidFiles([InvalidFile(path, "kind is missing", remedy=known)])
    if not isinstance(name, str):
        raise InvalidFiles([_fault(path, loaded, ["kind"], "kind: must be text", known)])
    near = _nearest(name, kinds)
    remedy = f"did you mean {near}?" if near else known
    raise InvalidFiles([_fault(path, loaded, ["kind"], f"kind {_shown(name)} is not known", remedy)])


def _explain(path: str, loaded: Document, spec: type[Spec], error: ErrorDetails) -> InvalidFile:
    keys = [str(part) for part in error["loc"]]
    message, remedy = explained(keys, spec, error)
    return _fault(path, loaded, keys, message, remedy or _SCHEMA)


def explained(keys: Sequence[str], model: type[BaseModel], error: ErrorDetails) -> tuple[str, str]:
    """Return what is wrong with a field, and what to do ("" when only the schema says); never the value."""
    name = ".".join(map(_shown, keys))
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"unknown field {name}", _meant(model, keys)
    if kind == "missing":
        return f"{name} is missing", f"add `{keys[-1]}:`"
    if kind == "value_error":
        message, _, remedy = error["msg"].removeprefix("Value error, ").partition("; ")
    else:
        message, remedy = _EXPLAINED.get(kind, (error["msg"].replace("{", "{{").replace("}", "}}"), ""))
        message = message.format(**error.get("ctx", {}))
    return f"{name}: {message}", remedy


def _meant(spec: type[BaseModel], keys: Sequence[str]) -> str:
    """Say which field was probably meant: one of the same place, or the same name in another place."""
    known = list(_fields(spec))
    here = [path[-1] for path in known if list(path[:-1]) == list(keys[:-1])]
    elsewhere = {path[-1]: ".".join(path) for path in known if path[-1] not in here}
    same = _folded(keys[-1], here) or elsewhere.get(_folded(keys[-1], elsewhere))
    if right := same or _nearest(keys[-1], here):
        return f"did you mean {right}?"
    return f"known fields: {', '.join(here)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word[:_LONGEST_SHOWN], names, 1, cutoff=0.5)
    return _folded(word, names) or (close[0] if close else "")


def _folded(word: str, known: Iterable[str]) -> str:
    """Return the known name that differs only in letter case, hyphens and underscores."""
    folded = {name.lower(): name for name in known}
    return folded.get(word.lower().replace("_", "").replace("-", ""), "")


def _fields(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        yield path
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _fields(inner, path)


def _shown(text: str) -> str:
    """Return a name as it may stand in a message, whatever a person wrote there."""
    short = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return short if short.isprintable() and short.strip() else repr(short)
