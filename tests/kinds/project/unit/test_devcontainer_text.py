"""devcontainer.json is edited by insertion only, and only when it then means exactly one thing more."""

from __future__ import annotations

import json
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.clients.github.queries import repository
from reconciler.kinds.project.manifests.devcontainer_text import (
    add_feature,
    default_text,
    feature_id,
    has_feature,
    unbuildable,
)
from reconciler.kinds.project.manifests.pods import PodsSettings
from reconciler.model.errors import InvalidFile

TOOLS = "registry.example/mesh-six/mesh-six-tools:2"


def only_inserted(before: str, after: str) -> bool:
    """Whether `after` is `before` with characters inserted."""
    rest = iter(after)
    return all(character in rest for character in before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "features": {\n    "REF": {}\n  }\n}'),
        ('{\n\t"image": "x"\n}\n', '{\n\t"image": "x",\n\t"features": {\n\t\t"REF": {}\n\t}\n}\n'),
        ('{"image": "x"}', '{"image": "x", "features": {\n    "REF": {}\n  }}'),
        ('{ "features": { "a": {} } }', '{ "features": { "a": {}, "REF": {} } }'),
        (
            '{\n  "features": {\n    "a": {}, // why\n    /* end */\n  },\n}',
            '{\n  "features": {\n    "a": {}, // why\n    /* end */\n    "REF": {},\n  },\n}',
        ),
        (
            '{\r\n    "features": {\r\n        "a": {} // why\r\n    }\r\n}',
            '{\r\n    "features": {\r\n        "a": {}, // why\r\n        "REF": {}\r\n    }\r\n}',
        ),
        (
            '// top\n{\n  "build": {"features": {}}, "x": ["features", {"features": {}}]\n}',
            '// top\n{\n  "build": {"features": {}}, "x": ["features", {"features": {}}],\n  NEW\n}',
        ),
        (
            '{"f": "// no comment", "features": {} /* } */}',
            '{"f": "// no comment", "features": {\n  "REF": {}\n} /* } */}',
        ),
    ],
)
def test_one_line_is_inserted_where_a_person_would(before: str, after: str) -> None:
    after = after.replace("NEW", '"features": {\n    "REF": {}\n  }')
    assert add_feature(before, TOOLS) == after.replace("REF", TOOLS)


@pytest.mark.parametrize(
    "there",
    [
        TOOLS,
        "registry.example/mesh-six/mesh-six-tools",
        "registry.example/mesh-six/mesh-six-tools:1.2.3",
        "Registry.Example/Mesh-Six/Mesh-Six-Tools:2",
        "registry.example/mesh-six/mesh-six-tools@sha256:" + "0" * 64,
    ],
)
def test_any_version_of_the_feature_is_the_feature(there: str) -> None:
    text = f'{{"features": {{"{there}": {{"claudeVersion": "1"}},}}}}'
    assert has_feature(text, TOOLS)
    assert add_feature(text, TOOLS) == text


@pytest.mark.parametrize(
    "there",
    [
        "ghcr.io/jaybrto/devcontainer-features/mesh-six-tools:2",
        "./mesh-six-tools",
        "localhost:5000/mesh-six-tools",
    ],
)
def test_a_feature_of_another_place_is_another(there: str) -> None:
    assert not has_feature(f'{{"features": {{"{there}": {{}}}}}}', TOOLS)


def test_a_registry_port_is_no_tag() -> None:
    assert feature_id("localhost:5000/tools:1") == "localhost:5000/tools"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", '"x"', "{", '{"a": }', "{'a': 1}", "{a: 1}", '{"a": 1} x', "{,}", '{"a": [1,,]}',
        '{"features": []}', '{"features": null}', '{"features": "x"}', '{"features": {}, "features": {}}',
        '{"a": 1, "a": 2}', '{"a": "\n"}', '{"a": 01}', '{"a": .5}', "\ufeff{}", '{"a": /* open }',
        '{"a"\u00a0: 1}', "{} // open", "// a\r{}", "{ // a\r}\r", '{"a": NaN}', '{"a": -Infinity}',
        "[" * 100_000, '{"a":' * 100_000, "{" + " " * 1_000_000,
    ],
)  # fmt: skip
def test_what_envbuilder_cannot_read_is_left_to_a_person(text: str) -> None:
    with pytest.raises(InvalidFile):
        add_feature(text, TOOLS)


def test_the_error_names_the_file_and_the_line() -> None:
    with pytest.raises(InvalidFile, match=r"\.devcontainer\.json:2:\d+") as caught:
        has_feature('{\n  "a": nope\n}', TOOLS, path=".devcontainer.json")
    assert caught.value.remedy


def test_what_another_parser_cannot_read_is_left_to_a_person() -> None:
    text = '{"a\u2028b": 1}'
    assert not has_feature(text, TOOLS)
    with pytest.raises(InvalidFile, match="cannot be added with certainty") as caught:
        add_feature(text, TOOLS)
    assert "by hand" in caught.value.remedy


def test_a_file_that_would_hold_up_others_is_refused() -> None:
    assert add_feature(f'{{"a": "{"x" * 100_000}"}}', TOOLS)
    with pytest.raises(InvalidFile, match="the most is") as caught:
        has_feature("/**/" * 40_000 + "{}", TOOLS)
    assert caught.value.remedy


def test_a_comment_without_end_is_named_by_its_place() -> None:
    for text, place in (('{\n  "a": 1 /* b\n}', ":2:10"), ('{\n  "a": 1\n} // b', ":3:3")):
        with pytest.raises(InvalidFile, match=place) as caught:
            add_feature(text, TOOLS)
        assert "a comment has no end" in caught.value.message


def test_the_default_has_the_tools_after_node_and_a_user_of_the_image() -> None:
    text = default_text(PodsSettings.load({"featureReference": TOOLS}, {}))
    document: Any = json5.loads(text)
    assert has_feature(text, TOOLS)
    assert list(document["features"]) == sorted(document["features"])
    assert "node" in next(iter(document["features"]))
    assert document["containerUser"] == document["remoteUser"] == "vscode"
    assert not document["image"].endswith((":latest", ":ubuntu"))


def test_the_default_follows_the_settings() -> None:
    text = default_text(
        PodsSettings.load(
            {
                "featureReference": TOOLS,
                "user": "dev",
                "nodeFeature": None,
                "devcontainerImage": "x.example/node:22.1",
            },
            {},
        )
    )
    document: Any = json5.loads(text)
    assert document["containerUser"] == "dev"
    assert list(document["features"]) == [TOOLS]


# Documents as people write them: any JSON, any layout, comments and trailing commas anywhere they may stand.
FILLER = st.sampled_from(
    ["", " ", "\n", "\n  ", "\t", " // c }\n", "/* , { */", "\r\n", ' // "features": {\n']
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 99),
    st.text(max_size=6),
    st.sampled_from(["//", "/*", "features", "}"]),
)
KEYS = st.sampled_from(["image", "build", "name", "features", "a//b", 'q"', "é"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    def write(value: Any) -> str:
        fill = draw(FILLER)
        if not isinstance(value, dict | list):
            return fill + json.dumps(value, ensure_ascii=draw(st.booleans())) + draw(FILLER)
        parts = (
            [draw(FILLER) + json.dumps(key) + draw(FILLER) + ":" + write(item) for key, item in value.items()]
            if isinstance(value, dict)
            else [write(item) for item in value]
        )
        comma = draw(st.sampled_from(["", ","])) if parts else ""
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        return fill + opening + ",".join(parts) + comma + draw(FILLER) + closing + draw(FILLER)

    document = draw(st.dictionaries(KEYS.filter(lambda key: key != "features"), VALUES, max_size=3))
    if draw(st.booleans()):
        document["features"] = draw(
            st.dictionaries(st.sampled_from(["g/node:1", "g/go", "./x"]), VALUES, max_size=3)
        )
        order = draw(st.permutations(list(document)))
        document = {key: document[key] for key in order}
    return write(document)


@given(documents())
@settings(max_examples=60, deadline=None)
def test_an_edit_adds_the_feature_and_nothing_else(text: str) -> None:
    edited = add_feature(text, TOOLS)
    before: Any = json5.loads(text)
    after: Any = json5.loads(edited)
    assert only_inserted(text, edited)
    assert after["features"].pop(TOOLS) == {}
    assert after == {"features": {}, **before}
    assert has_feature(edited, TOOLS)
    assert add_feature(edited, TOOLS) == edited


@given(st.text(alphabet='{}[]:,"/*\\ \n/fa1', max_size=40))
@settings(max_examples=100, deadline=None)
def test_noise_is_refused_cleanly(text: str) -> None:
    try:
        edited = add_feature(text, TOOLS)
    except InvalidFile:
        return
    assert has_feature(edited, TOOLS)
    assert only_inserted(text, edited)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"dockerComposeFile": "compose.yaml", "service": "app"}', "no compose"),
        ('{"dockerComposeFile": ["a.yaml", "b.yaml"], "image": "x"}', "no compose"),
        ("{}", "no image"),
        ('{"name": "x", "features": {}}', "no image"),
        ('{"image": ""}', "no image"),
        ('{"image": null, "build": {"context": "."}}', "no image"),
        ('{"build": []}', "no image"),
    ],
)
def test_what_envbuilder_can_never_build_is_told(text: str, says: str) -> None:
    found = unbuildable(text)
    assert found is not None
    assert says in found[0]
    assert found[1]


@pytest.mark.parametrize(
    "text",
    [
        '{"image": "python:3.12"}',
        '{"build": {"dockerfile": "Dockerfile"}}',
        '{"build": {"dockerFile": "Dockerfile", "context": ".."}, /* a */}',
        '{"dockerFile": "Dockerfile"}',
        default_text(PodsSettings(feature_reference=TOOLS)),
    ],
)
def test_what_has_an_image_or_a_build_may_be_built(text: str) -> None:
    assert unbuildable(text) is None


@pytest.mark.parametrize("features", ["null", "[]", '"x"'])
def test_the_remedy_names_the_reference_that_is_meant(features: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        has_feature(f'{{"features": {features}}}', TOOLS)
    assert caught.value.remedy == f'write "features": {{"{TOOLS}": {{}}}}'


def test_a_byte_order_mark_is_called_by_its_name() -> None:
    with pytest.raises(InvalidFile, match="byte order mark") as caught:
        has_feature("\ufeff{}", TOOLS)
    assert caught.value.remedy == "save it without byte order mark"


def tree(*entries: tuple[str, int, Any]) -> dict[str, Any]:
    found = [{"name": name, "mode": mode, "object": what} for name, mode, what in entries]
    return {"__typename": "Tree", "entries": found}


BLOB = {"__typename": "Blob", "oid": "1" * 40, "text": "../elsewhere", "isTruncated": False}
NAME = "devcontainer.json"


@pytest.mark.parametrize(
    ("main", "folder", "path"),
    [
        (BLOB, tree((NAME, 0o120000, BLOB)), f".devcontainer/{NAME}"),
        (None, BLOB, ".devcontainer"),
        (None, tree(("python", 0o040000, tree((NAME, 0o120000, BLOB)))), f".devcontainer/python/{NAME}"),
        (None, tree(("python", 0o040000, tree((NAME, 0o160000, None)))), f".devcontainer/python/{NAME}"),
    ],
)
def test_links_and_submodules_are_seen_by_gits_mode(main: Any, folder: Any, path: str) -> None:
    raw = {
        "id": "R", "databaseId": 7, "nameWithOwner": "a/b", "isArchived": False, "isDisabled": False,
        "viewerPermission": "ADMIN", "owner": {"id": "O", "login": "a", "__typename": "User"},
        "defaultBranchRef": {"name": "main", "target": {"oid": "2" * 40}}, "projectsV2": None,
        "deployKeys": None,
        "main": main, "root": None, "folder": folder,
    }  # fmt: skip
    (file,) = repository(raw, frozenset()).devcontainers
    assert (file.path, file.regular) == (path, False)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{\n"image": "x", "a": ' + "[" * 100_000, 2, "levels deep"),
        ('{\n"image": "x", "a": [' + "1," * 5_000 + "1]}", 0, "more than"),
        ('{"image": "x"}\n' + "// x\n" * 5_000, 0, "more than"),
        ('{\n"image": "x",\n\n\n', 2, "not JSON"),
        ('{\n"image": \\\n}', 2, "not JSON"),
    ],
    ids=["deep", "long", "comments", "not closed", "sign"],
)
def test_too_much_is_refused_before_it_takes_time(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidFile, match=message) as caught:
        add_feature(text, TOOLS)
    assert caught.value.line == line
