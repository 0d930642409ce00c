"""Files that people write: what is read, and what is refused with its place and what to do."""

from __future__ import annotations

import math

import pytest

from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_read import BOUNDS, load_documents, load_yaml


def refused(content: bytes | str) -> InvalidFile:
    data = content.encode() if isinstance(content, str) else content
    with pytest.raises(InvalidFile) as raised:
        load_yaml("projects/x.yaml", data)
    assert raised.value.remedy
    assert len(str(raised.value)) < 400
    return raised.value


def test_two_lines_are_enough() -> None:
    loaded = load_yaml("x", b"\xef\xbb\xbfrepoOwner: acme\r\nrepoName: widgets\r\n")
    assert loaded.values == {"repoOwner": "acme", "repoName": "widgets"}
    assert loaded.position(("repoName",)) == (2, 1)


def test_plain_values_are_those_of_yaml_1_2() -> None:
    text = """
    a: [1, -2, +3, 0, 0x1F, 0o17, 1.5, 1e3, .5, -.inf, true, False, null, ~, ]
    b: ["1", '0123', "on", !!str 5, ! 6]
    c: [2026-01-01, 1_000, y, 1.2.3, ., !!int 7, !!float 2.5, !!bool "true", !!null ""]
    t: 12:30:00
    d:
    e: ""
    """
    values = load_yaml("x", text.encode()).values
    assert values["a"] == [1, -2, 3, 0, 31, 15, 1.5, 1000.0, 0.5, -math.inf, True, False, None, None]
    assert values["b"] == ["1", "0123", "on", "5", "6"]
    assert values["c"] == ["2026-01-01", "1_000", "y", "1.2.3", ".", 7, 2.5, True, None]
    assert values["t"] == "12:30:00"
    assert (values["d"], values["e"]) == (None, "")


def test_positions_are_those_of_keys_and_items() -> None:
    loaded = load_yaml("x", b"a:\n  - b: 1\n    c: 2\n  - [x, y]\n")
    assert loaded.position(("a", 0, "c")) == (3, 5)
    assert loaded.position(("a", 1, 1)) == (4, 9)
    assert loaded.position(("a", 0, "nowhere", 5)) == (2, 5)
    assert loaded.position(("nowhere",)) == (0, 0)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 0, 0, "empty"),
        ("# nothing\n", 0, 0, "empty"),
        ("--- \n", 0, 0, "empty"),
        ("- a\n", 1, 1, "mapping"),
        ("just text\n", 1, 1, "mapping"),
        ("a: 1\n---\nb: 2\n", 3, 1, "more than one document"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' twice (first in line 1)"),
        ('a: 1\n"a": 3\n', 2, 1, "twice"),
        ("a:\n\t- b\n", 2, 1, "not YAML"),
        ("a: [1, 2\nb: 3\n", 2, 2, "not YAML"),
        ("a: &x 1\nb: *x\n", 2, 4, "alias '*x'"),
        ("a: !!python/object:os.system x\n", 1, 4, "tag"),
        ("a: !secret x\n", 1, 4, "tag"),
        ("a: !!int five\n", 1, 4, "tag"),
        ("a: !!set {x}\n", 1, 4, "tag"),
        ('a: 1\nb: "x"# y\n', 2, 7, "not YAML"),
        ("a: {\nb: 1\n}\n", 2, 1, "not YAML"),
        ("a: {b: 1}\nc: {<<: {d: 1}}\n", 2, 5, "programs read differently"),
        ("a: 1\nb: +0x1F\n", 2, 1, "programs read differently"),
        ("a: {b: 1,\n  : c}\n", 2, 3, "most programs cannot read"),
        ("a: [1,\n\n\n", 1, 6, "not YAML"),
        ("a: 1\nb: 'x\n\n", 2, 4, "not YAML"),
        ("a: x\u2028y\n", 1, 5, "U+2028"),
        ("skipAuth: on\n", 1, 11, "truth value"),
        ("skipAuth: No\n", 1, 11, "truth value"),
        ("a: 0123\n", 1, 4, "octal"),
        ("? [a]\n: b\n", 1, 3, "key"),
        ("a: x\u202ey\n", 1, 5, "U+202E"),
        ("a: 'x\x00'\n", 1, 6, "U+0000"),
        ("a: b\nc: \ufeffd\n", 2, 4, "U+FEFF"),
        ("a: b # why\u2028adopt: true\n", 1, 11, "U+2028"),
        ("a: b # why\u2029adopt: true\n", 1, 11, "U+2029"),
        ("a: b # why\x85adopt: true\n", 1, 11, "U+0085"),
        ("a: b\r\nc: d # why\radopt: true\r\n", 2, 11, "U+000D"),
        ("a: b\r", 1, 5, "U+000D"),
        ("a: " + "[" * 40 + "]" * 40, 1, 36, "levels deep"),
        (f"a: {'9' * 5000}\n", 1, 4, "digits"),
        (f"a: 0x{'f' * 90}\n", 1, 4, "digits"),
    ],
)
def test_refused_with_its_place(text: str, line: int, column: int, message: str) -> None:
    error = refused(text)
    assert message in error.message
    assert (error.line, error.column) == (line, column)


def test_hostile_sizes_end_at_once() -> None:
    assert "the most is" in refused(b"a: " + b"x" * BOUNDS.size).message
    assert "more than" in refused("a: [" + "1," * (BOUNDS.nodes + 5) + "]").message
    bomb = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
    )
    assert "alias" in refused(bomb).message
    assert "levels deep" in refused("a: " + "[" * 100_000).message
    assert "levels deep" in refused("- " * 60_000 + "x").message


def test_not_utf_8_names_the_byte() -> None:
    error = refused(b"a: 1\nb: \xff\n")
    assert (error.line, error.column) == (2, 4)
    assert "UTF-8" in error.message
    assert "UTF-8" in refused("a: 1\n".encode("utf-16")).message


def test_a_file_of_many_documents_can_be_read_too() -> None:
    assert load_documents("x", b"a: 1\n---\n- 2\n---\n") == [{"a": 1}, [2], None]


def test_colons_in_brackets_and_braces_are_part_of_a_text() -> None:
    text = (
        b"a: {teamAlias: acme:widgets}\nb: [https://x.y/z, registry:5000/a]\nc: {newName: registry:5000/a}\n"
    )
    assert load_yaml("x", text).values == {
        "a": {"teamAlias": "acme:widgets"},
        "b": ["https://x.y/z", "registry:5000/a"],
        "c": {"newName": "registry:5000/a"},
    }


def test_keys_that_look_like_numbers_are_text() -> None:
    assert load_yaml("x", b"8080: a\n'1': b\ntrue: c\n").values.keys() == {"8080", "1", "true"}
