"""Reads and edits devcontainer.json, which is JSON with comments and trailing commas. No I/O.

An edit only inserts: every byte that people wrote stays. What cannot be read, or edited with certainty, is an
InvalidFile for a person, who adds one line by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import json5
from json5.dumper import ModelDumper
from json5.loader import ModelLoader
from json5.model import Comment, DoubleQuotedString, JSONObject, KeyValuePair, Node

from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.kinds.project.manifests.render import render_devcontainer
from reconciler.model.errors import InvalidFile
from reconciler.model.json import once_each
from reconciler.model.yaml_text import within

DEFAULT_PATH = ".devcontainer/devcontainer.json"
SEARCH_PATHS = (DEFAULT_PATH, ".devcontainer.json")
"""Looked for in this order, then `.devcontainer/<folder>/devcontainer.json` for every folder."""
LARGEST = 128 * 1024
"""Characters. An edit takes seconds at that: nobody's file may hold up the others."""
FOLDER, NAME = ".devcontainer", "devcontainer.json"

DEEPEST = 32
MOST_TOKENS = 4_000
"""Of a file that is edited: the parsers that an edit is made and checked with take a second for so many."""

# As envbuilder's parser has it, a comment of one line ends with a line feed, and with nothing else.
_TOKEN = re.compile(
    r'(?P<comment>//[^\n]*\n|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\])*")|(?P<mark>[{}\[\]:,])'
    r'|(?P<space>[ \t\r\n]+)|(?P<word>[^\s{}\[\]:,"/]+)',
    re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


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
    return any(feature_id(key) == wanted for key in _features(_parse(text, path), path, reference))


@lru_cache(maxsize=256)
def unbuildable(text: str, *, path: str = DEFAULT_PATH) -> tuple[str, str] | None:
    """Return why envbuilder can make no image of the file, and what to do; None when it may.

    InvalidFile when it cannot be read.
    """
    document = _parse(text, path)
    if "dockerComposeFile" in document:
        remedy = (
            f'add a file with an "image" or a "build", like {FOLDER}/mesh-six/{NAME}, and name it after '
            "`devcontainer:` in the project file"
        )
        return "it names a dockerComposeFile, and envbuilder knows no compose", remedy
    build = document.get("build")
    names = [document.get("image"), document.get("dockerFile")]
    names += [build.get("dockerfile"), build.get("dockerFile")] if isinstance(build, dict) else []
    if not any(isinstance(name, str) and name.strip() for name in names):
        return "it names no image and no Dockerfile", 'add an "image" or a "build" with a "dockerfile"'
    return None


def major_version(text: str, reference: str, *, path: str = DEFAULT_PATH) -> int | None:
    """Return the major version of the feature that a file names; None where it names none in numbers."""
    wanted = feature_id(reference)
    named = [key for key in _features(_parse(text, path), path, reference) if feature_id(key) == wanted]
    return major_of(named[0]) if named else None


def major_of(reference: str) -> int | None:
    """Return the major version of a reference; None for a digest, or a tag that is no number."""
    found = re.search(r":v?([0-9]{1,9})(?:\.[0-9.]*)?$", reference)
    return int(found[1]) if found else None


def add_feature(text: str, reference: str, *, path: str = DEFAULT_PATH) -> str:
    """Return the text with the feature, or as it is when it has it. InvalidFile when a person must do it."""
    if has_feature(text, reference, path=path):
        return text
    before = _parse(text, path)
    if sum(token.kind != "space" for token in _tokens(text)) > MOST_TOKENS:
        raise _for_a_person(path, f"it has more than {MOST_TOKENS} words, signs and comments", reference)
    # Read back by two parsers that share no code: an edit that means anything else is not made. Nor is one
    # where the other parser cannot even read what people wrote.
    try:
        edited = _insert(text, reference)
        same = _parse(edited, path) == _with(before, reference)
        same = same and json5.loads(edited) == _with(json5.loads(text), reference)
    except (InvalidFile, ValueError, RecursionError):
        same = False
    if not same:
        raise _for_a_person(path, "the feature cannot be added with certainty", reference)
    return edited


def _with(document: Mapping[str, Any], reference: str) -> dict[str, Any]:
    return {**document, "features": {**document.get("features", {}), reference: {}}}


def _for_a_person(path: str, what: str, reference: str) -> InvalidFile:
    return InvalidFile(path, what, remedy=f'add "{reference}": {{}} to "features" by hand')


def _features(document: Mapping[str, Any], path: str, reference: str) -> dict[str, Any]:
    features = document.get("features", {})
    if not isinstance(features, dict):
        remedy = f'write "features": {{"{reference}": {{}}}}'
        raise InvalidFile(path, '"features" is not an object', remedy=remedy)
    return features


def _parse(text: str, path: str) -> dict[str, Any]:
    """Read what envbuilder's parser reads: JSON, comments, trailing commas, and nothing else of JSON5."""
    if len(text) > LARGEST:
        raise InvalidFile(
            path, f"it has {len(text)} characters; the most is {LARGEST}", remedy="make it smaller"
        )
    if text.startswith("\ufeff"):
        raise InvalidFile(path, "it begins with a byte order mark", remedy="save it without byte order mark")
    try:
        document = json.loads(_as_json(text), object_pairs_hook=once_each, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        line, column = 0, 0
        if isinstance(error, json.JSONDecodeError):
            line, column = within(text, (error.lineno, error.colno))
        reason = getattr(error, "msg", "") or str(error)
        raise InvalidFile(
            path, f"not JSON with comments: {reason}", line=line, column=column, remedy="mend the file"
        ) from error
    if not isinstance(document, dict):
        raise InvalidFile(path, "not an object", remedy="mend the file")
    return document


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if start != position:
            break
        yield _Token(str(match.lastgroup), match[0], start, end)
        position = end
    if position < len(text):
        what = "a comment has no end" if text[position] == "/" else "it cannot be read from here on"
        raise json.JSONDecodeError(what, text, position)


def _as_json(text: str) -> str:
    """Blank comments and trailing commas, so that lines and columns stay."""
    pieces: list[str] = []
    comma, previous = -1, "{"
    depth = 0
    for token in _tokens(text):
        if token.kind == "mark":
            depth += (token.text in "{[") - (token.text in "}]")
            if depth > DEEPEST:
                message = f"nested more than {DEEPEST} levels deep"
                raise json.JSONDecodeError(message, text, token.start)
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
    whole = json5.loads(text, loader=ModelLoader())
    document = whole.value
    newline = "\r\n" if "\r\n" in text else "\n"
    present = [value for key, value in document.key_value_pairs if key.characters == "features"]
    if present:
        _append(text, present[-1], reference, JSONObject(), newline)
    else:
        indent = _member_indent(text, document)
        feature = _member(reference, JSONObject(), before=[newline + indent + (indent or "  ")])
        feature.value.wsc_after = [newline + indent]
        _append(text, document, "features", JSONObject(feature), newline)
    return _text_of(whole)


def _text_of(node: Node) -> str:
    dumper: Any = ModelDumper()
    return str(json5.dumps(node, dumper=dumper))


def _member(name: str, value: JSONObject, before: list[Any]) -> KeyValuePair:
    key = DoubleQuotedString(name, json.dumps(name))
    key.wsc_before, value.wsc_before = before, [" "]
    return KeyValuePair(key, value)


def _append(text: str, inside: JSONObject, name: str, value: JSONObject, newline: str) -> None:
    """Append a member that is written as the others are: on a line of its own or not, comma or not."""
    last = inside.trailing_comma or (inside.values[-1] if inside.values else None)
    # What stands between the last member and the closing brace; comments in it are that member's.
    gap = _without_returns(last.wsc_after if last else inside.leading_wsc)
    comments = 1 + max((index for index, part in enumerate(gap) if isinstance(part, Comment)), default=-1)
    own_line = newline + _member_indent(text, inside)
    if last is None:
        kept, rest = gap[:comments], gap[comments:]
        if not any("\n" in part for part in rest):
            # The closing brace gets a line of its own.
            kept, rest = gap, [newline + _line_indent(text, inside)]
        inside.leading_wsc = []
        made = _member(name, value, before=[*kept, own_line])
    elif "\n" not in _text_of(inside).strip():
        rest = gap
        made = _member(name, value, before=[" "])
    else:
        rest = gap[comments:]
        made = _member(name, value, before=[*gap[:comments], own_line])
    if last is not None:
        last.wsc_after = []
    inside.keys.append(made.key)
    inside.values.append(made.value)
    (inside.trailing_comma or value).wsc_after = rest


def _without_returns(gap: list[Any]) -> list[Any]:
    """Return a gap whose line comments end before the line does: json-five counts a carriage return in."""
    found: list[Any] = []
    for part in gap:
        found.append(part)
        if isinstance(part, Comment) and part.value.endswith("\r"):
            part.value = part.value.removesuffix("\r")
            found.append("\r")
    return found


def _member_indent(text: str, inside: JSONObject) -> str:
    """Return the indentation of an object's first member, if it begins a line; else a step more than its."""
    if inside.keys:
        before = "".join(part if isinstance(part, str) else "#" for part in inside.leading_wsc)
        line = before.rpartition("\n")
        if line[1] and not line[2].strip():
            return line[2]
    outer = _line_indent(text, inside)
    return outer + (outer or "  ")


def _line_indent(text: str, inside: JSONObject) -> str:
    """Return the indentation of the line in which an object begins."""
    line = text.split("\n")[(inside.lineno or 1) - 1]
    return line[: len(line) - len(line.lstrip(" \t"))]
