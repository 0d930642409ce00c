"""Reads and edits devcontainer.json, which is JSON with comments and trailing commas. No I/O.

An edit only inserts: every byte that people wrote stays. What cannot be read, or edited with certainty, is an
InvalidFile for a person, who adds one line by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import json5

from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import render_devcontainer
from reconciler.model.errors import InvalidFile
from reconciler.model.json import once_each

DEFAULT_PATH = ".devcontainer/devcontainer.json"
SEARCH_PATHS = (DEFAULT_PATH, ".devcontainer.json")
"""Looked for in this order, then `.devcontainer/<folder>/devcontainer.json` for every folder."""
FOLDER, NAME = ".devcontainer", "devcontainer.json"

_TOKEN = re.compile(
    r'(?P<comment>//[^\r\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*")|(?P<mark>[{}\[\]:,])'
    r'|(?P<space>[ \t\r\n]+)|(?P<word>[^\s{}\[\]:,"/]+)',
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class _Span:
    """An object in the text: indexes of its braces among the tokens."""

    opening: int
    closing: int


def default_text(pods: PodsSettings) -> str:
    """Return the file for a repository that has none."""
    return render_devcontainer(pods)


def feature_id(reference: str) -> str:
    """Return a feature's identity: lower case, without tag and digest."""
    name = reference.partition("@")[0].lower()
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


@lru_cache(maxsize=256)  # most repositories have the same file: the one that we put there
def has_feature(text: str, reference: str, *, path: str = DEFAULT_PATH) -> bool:
    """Tell whether the file has that feature, in whatever version. InvalidFile when it cannot be read."""
    wanted = feature_id(reference)
    return any(feature_id(key) == wanted for key in _features(_parse(text, path), path))


def add_feature(text: str, reference: str, *, path: str = DEFAULT_PATH) -> str:
    """Return the text with the feature, or as it is when it has it. InvalidFile when a person must do it."""
    if has_feature(text, reference, path=path):
        return text
    before = _parse(text, path)
    edited = _insert(text, reference)
    # Read back by two parsers that share no code: an edit that means anything else is not made.
    try:
        same = _parse(edited, path) == _with(before, reference)
        same = same and json5.loads(edited) == _with(json5.loads(text), reference)
    except (InvalidFile, ValueError, RecursionError):
        same = False
    if not same:
        raise _for_a_person(path, "the feature cannot be added with certainty", reference)
    return edited


def _with(document: Mapping[str, Any], reference: str) -> dict[str, Any]:
    return {**document, "features": {**document.get("features", {}), reference: {}}}


def _for_a_person(path: str, what: str, reference: str = "mesh-six-tools") -> InvalidFile:
    return InvalidFile(path, what, remedy=f'add "{reference}": {{}} to "features" by hand')


def _features(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    features = document.get("features", {})
    if not isinstance(features, dict):
        raise _for_a_person(path, '"features" is not an object')
    return features


def _parse(text: str, path: str) -> dict[str, Any]:
    """Read what envbuilder's parser reads: JSON, comments, trailing commas, and nothing else of JSON5."""
    try:
        document = json.loads(_as_json(text), object_pairs_hook=once_each)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 0), getattr(error, "colno", 0)
        reason = getattr(error, "msg", "") or str(error)
        raise InvalidFile(
            path, f"not JSON with comments: {reason}", line=line, column=column, remedy="mend the file"
        ) from error
    if not isinstance(document, dict):
        raise InvalidFile(path, "not an object", remedy="mend the file")
    return document


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if start != position:
            break
        yield _Token(str(match.lastgroup), match[0], start, end)
        position = end
    if position < len(text):
        raise ValueError(f"cannot be read after character {position}")


def _as_json(text: str) -> str:
    """Blank comments and trailing commas, so that lines and columns stay."""
    pieces: list[str] = []
    comma, previous = -1, "{"
    for token in _tokens(text):
        if token.kind == "comment":
            pieces.append(re.sub(r"[^\r\n]", " ", token.text))
            continue
        if token.text in "}]" and comma >= 0:
            pieces[comma] = " "
        if token.kind != "space":
            comma = len(pieces) if token.text == "," and previous not in "{[,:" else -1
            previous = token.text
        pieces.append(token.text)
    return "".join(pieces)


def _insert(text: str, reference: str) -> str:
    """Insert the feature into `features`, or that object at the end of the document."""
    tokens = list(_tokens(text))
    document, features = _objects(tokens)
    newline = "\r\n" if "\r\n" in text else "\n"
    if features is not None:
        return _insert_member(text, tokens, features, f"{json.dumps(reference)}: {{}}", newline)
    indent = _member_indent(text, tokens, document)
    step = indent or "  "
    member = f'"features": {{{newline}{indent + step}{json.dumps(reference)}: {{}}{newline}{indent}}}'
    return _insert_member(text, tokens, document, member, newline)


def _objects(tokens: list[_Token]) -> tuple[_Span, _Span | None]:
    """Return the document's object, and its `features` if it has any."""
    opening = next(index for index, token in enumerate(tokens) if token.text == "{")
    features = closing = None
    depth, key = 0, ""
    for index in range(opening, len(tokens)):
        token = tokens[index]
        if token.kind == "string" and depth == 1:
            key = json.loads(token.text) if _next_mark(tokens, index) == ":" else key
        if token.text in "{[" and token.kind == "mark":
            if depth == 1 and key == "features":
                features = index
            depth += 1
        elif token.text in "}]" and token.kind == "mark":
            depth -= 1
            if depth == 1 and features is not None and closing is None:
                closing = index
            if depth == 0:
                found = _Span(features, closing) if features is not None and closing is not None else None
                return _Span(opening, index), found
    raise ValueError("an object is not closed")


def _next_mark(tokens: list[_Token], index: int) -> str:
    return next((token.text for token in tokens[index + 1 :] if token.kind not in {"space", "comment"}), "")


def _insert_member(text: str, tokens: list[_Token], span: _Span, member: str, newline: str) -> str:
    """Insert after the last member, written as the others are: on a line of its own or not, comma or not."""
    inside = tokens[span.opening + 1 : span.closing]
    solid = [token for token in inside if token.kind not in {"space", "comment"}]
    if not solid:
        return _fill_empty(text, tokens, span, member, newline)
    last = solid[-1]
    trailing = last.text == ","
    comma = "" if trailing else ","
    after = "," if trailing else ""
    if "\n" not in text[tokens[span.opening].end : tokens[span.closing].start]:
        return f"{text[: last.end]}{comma} {member}{after}{text[last.end :]}"
    # Behind the last member's own comment; a comma goes before that comment, next to the value.
    behind = last.end
    for token in inside:
        if token.start >= last.end and token.kind == "comment":
            behind = token.end
    indent = _member_indent(text, tokens, span)
    between = text[last.end : behind]
    return f"{text[: last.end]}{comma}{between}{newline}{indent}{member}{after}{text[behind:]}"


def _fill_empty(text: str, tokens: list[_Token], span: _Span, member: str, newline: str) -> str:
    comments = [token for token in tokens[span.opening + 1 : span.closing] if token.kind == "comment"]
    behind = comments[-1].end if comments else tokens[span.opening].end
    closing = tokens[span.closing].start
    entry = f"{newline}{_member_indent(text, tokens, span)}{member}"
    if "\n" in text[behind:closing]:
        return text[:behind] + entry + text[behind:]
    # The closing brace gets a line of its own.
    outer = _line_indent(text, tokens[span.opening].start)
    return f"{text[:closing]}{entry}{newline}{outer}{text[closing:]}"


def _member_indent(text: str, tokens: list[_Token], span: _Span) -> str:
    """Return the indentation of an object's first member, if it begins a line; else a step more than its."""
    outer = _line_indent(text, tokens[span.opening].start)
    for token in tokens[span.opening + 1 : span.closing]:
        if token.kind == "string":
            start = text.rfind("\n", 0, token.start) + 1
            if start > tokens[span.opening].start and not text[start : token.start].strip():
                return text[start : token.start]
            break
    return outer + (outer or "  ")


def _line_indent(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    line = text[start:position]
    return line[: len(line) - len(line.lstrip(" \t"))]
