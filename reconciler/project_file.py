"""One file of `projects/`, from bytes to a validated project, or to every fault that it has with its place.

Used by the load stage and by `reconcile validate`; knows no kind by name and reads no file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.errors import InvalidFile
from reconciler.gitops.yaml_read import Document, load_yaml
from reconciler.model.project import LONGEST_SLUG, SLUG_PATTERN, Project, Source, Spec
from reconciler.resources.contract import Kind

Kinds = Mapping[str, Kind]


class InvalidFiles(Exception):
    """All that is wrong with one file."""

    def __init__(self, found: Sequence[InvalidFile]) -> None:
        super().__init__("; ".join(str(error) for error in found))
        self.found = tuple(found)


def parse(path: str, content: bytes, kinds: Kinds, *, blob: str = "") -> Project[Any]:
    """Return the project of one file; InvalidFiles with every fault that it has."""
    try:
        loaded = load_yaml(path, content)
    except InvalidFile as error:
        raise InvalidFiles([error]) from error
    kind = _kind(path, loaded, kinds)
    try:
        spec = kind.spec.model_validate(loaded.values)
    except ValidationError as error:
        raise InvalidFiles([_explain(path, loaded, kind.spec, each) for each in error.errors()]) from None
    faults = [
        InvalidFile(
            path, f"{'.'.join(keys)}: {sentence}", line=line, column=column, remedy="change one of the two"
        )
        for keys, sentence in spec.contradictions()
        for line, column in [loaded.position(keys)]
    ]
    slug = spec.slug or spec.default_slug()
    if fault := _slug_fault(slug, named=spec.slug is not None):
        line, column = loaded.position(("slug",) if spec.slug is not None else ())
        faults.append(InvalidFile(path, fault[0], line=line, column=column, remedy=fault[1]))
    if faults:
        raise InvalidFiles(faults)
    return Project(slug, kind.name, spec, Source(path, blob))


def _slug_fault(slug: str, *, named: bool) -> tuple[str, str] | None:
    if len(slug) > LONGEST_SLUG:
        whose = "slug" if named else "the slug that follows from the names"
        message = f"{whose} {slug[:60]} has {len(slug)} characters, more than {LONGEST_SLUG}"
        return message, f"write a `slug:` of at most {LONGEST_SLUG} characters"
    if not SLUG_PATTERN.fullmatch(slug):
        remedy = "write a `slug:` of lower-case letters, digits and inner hyphens"
        return f"slug {slug!r} is not usable in paths and names", remedy
    return None


def _kind(path: str, loaded: Document, kinds: Kinds) -> Kind:
    name = loaded.values.get("kind", "project")
    if isinstance(name, str) and name in kinds:
        return kinds[name]
    line, column = loaded.position(("kind",))
    remedy = f"known kinds: {', '.join(sorted(kinds))}"
    raise InvalidFiles(
        [InvalidFile(path, f"kind {name!r} is not known", line=line, column=column, remedy=remedy)]
    )


def _explain(path: str, loaded: Document, spec: type[Spec], error: ErrorDetails) -> InvalidFile:
    keys = tuple(str(part) for part in error["loc"])
    name = ".".join(keys)
    line, column = loaded.position(keys)
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _fields(spec, keys[:-1])
        near = difflib.get_close_matches(keys[-1], known, 1, cutoff=0.5)
        folded = {field.lower(): field for field in known}
        right = folded.get(keys[-1].lower().replace("_", "").replace("-", "")) or (near[0] if near else "")
        remedy = f"did you mean {right}?" if right else f"known fields: {', '.join(known)}"
        return InvalidFile(path, f"unknown field {name}", line=line, column=column, remedy=remedy)
    if kind == "missing":
        return InvalidFile(path, f"{name} is missing", line=line, column=column, remedy=f"add `{keys[-1]}:`")
    message = error["msg"].removeprefix("Value error, ")
    remedy = "see `reconcile schema` for what each field takes"
    if kind == "string_type":
        message, remedy = "must be text", "put the value in quotes"
    elif kind == "bool_type":
        message, remedy = "must be true or false", "write it without quotes"
    elif kind in {"float_type", "int_type"}:
        message, remedy = "must be a number", "write it without quotes and without a unit"
    return InvalidFile(path, f"{name}: {message}", line=line, column=column, remedy=remedy)


def _fields(model: type[BaseModel], keys: Sequence[str]) -> list[str]:
    aliases = {field.alias or name: field for name, field in model.model_fields.items()}
    if not keys:
        return list(aliases)
    inner = aliases[keys[0]].annotation
    return _fields(inner, keys[1:]) if isinstance(inner, type) and issubclass(inner, BaseModel) else []
