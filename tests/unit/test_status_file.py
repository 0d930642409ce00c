"""A status file: one text for one document, read back from whatever a tool made of it."""

from __future__ import annotations

import io
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.git.status_text import dump_status, load_status, merge

ARMOR = (
    "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24=\nabc+/==\n-----END AGE ENCRYPTED FILE-----\n"
)
HUMAN = {"oauth": ("sealed",)}
DOCUMENT: dict[str, Any] = {
    "status": "waiting_auth",
    "repository": {"name": "acme/widgets", "id": 123456},
    "resources": {
        "webhook": {"state": "ok", "since": "2026-01-01T00:00:00Z", "outputs": {"id": 7, "none": None}},
        "oauth": {
            "state": "waiting",
            "reason": 'on: it\'s a "person"\u2028',
            "list": [1, [2, []], {"a": {}}],
        },
    },
    "oauth": {"state": "pending", "sealed": ARMOR},
}


def test_the_text_is_for_people() -> None:
    text = dump_status(
        {
            "status": "ok",
            "at": "2026-01-01T00:00:00Z",
            "list": [{"a": 1, "b": [2]}],
            "oauth": {"sealed": ARMOR},
        }
    )
    assert text.decode().splitlines()[1:] == [
        "status: ok",
        'at: "2026-01-01T00:00:00Z"',
        "list:",
        "  - a: 1",
        "    b:",
        "      - 2",
        "oauth:",
        "  sealed: |",
        *("    " + line for line in ARMOR.splitlines()),
    ]


TEXT = st.one_of(
    st.text(),
    st.text(alphabet=" \n\r\t:#-'\"|>&*!%@`{}[],~\u00a0\u2028\ufeff\x85\x00é🦀", max_size=12),
    st.sampled_from(
        [
            "on",
            "No",
            "0123",
            "1e3",
            "0x1f",
            ".inf",
            "~",
            "null",
            "12:30:00",
            "2026-01-01",
            "<<",
            "=",
            "-",
            "y",
        ]
    ),
)
SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUE, min_size=1, max_size=4))
def test_what_is_written_is_read_back_by_every_reader(document: dict[str, Any]) -> None:
    content = dump_status(document)
    assert load_status("status/x.yaml", content) == document
    assert YAML(typ="safe", pure=True).load(content.decode()) == document
    # The other library speaks YAML 1.1: what it reads and writes again has to mean the same.
    assert yaml.safe_load(content.decode()) == document
    assert dump_status(load_status("x", content)) == content


def _by_ruamel(content: bytes) -> bytes:
    tool, out = YAML(), io.BytesIO()
    tool.indent(mapping=4, sequence=6, offset=3)
    tool.dump(tool.load(content.decode()), out)
    return out.getvalue()


def _by_pyyaml(content: bytes) -> bytes:
    return yaml.safe_dump(yaml.safe_load(content.decode()), default_style='"', width=40).encode()


def _by_pyyaml_flow(content: bytes) -> bytes:
    return yaml.safe_dump(yaml.safe_load(content.decode()), default_flow_style=True, sort_keys=True).encode()


@pytest.mark.parametrize("reformat", [_by_ruamel, _by_pyyaml, _by_pyyaml_flow])
def test_a_reformatted_file_means_the_same(reformat: Any) -> None:
    reformatted = reformat(dump_status(DOCUMENT))
    assert load_status("x", reformatted) == DOCUMENT


def test_a_persons_key_stays_and_the_rest_is_ours() -> None:
    found = {"status": "old", "note": "by hand", "oauth": {"state": "pending", "sealed": ARMOR, "extra": 1}}
    merged = merge(found, {"status": "new", "oauth": {"state": "sealed"}}, HUMAN, {})
    assert merged == {"status": "new", "oauth": {"state": "sealed", "sealed": ARMOR}}


def test_a_persons_key_survives_a_section_that_we_no_longer_write() -> None:
    assert merge({"oauth": {"sealed": ARMOR}}, {"status": "ok"}, HUMAN, {}) == {
        "status": "ok",
        "oauth": {"sealed": ARMOR},
    }


@pytest.mark.parametrize(
    ("present", "stays"), [(ARMOR, False), (ARMOR + "\n", True), ("new", True), (None, True)]
)
def test_a_consumed_key_goes_only_if_it_is_still_the_same_text(present: Any, *, stays: bool) -> None:
    merged = merge(
        {"oauth": {"sealed": present}}, {"oauth": {"state": "stored"}}, HUMAN, {"oauth": {"sealed": ARMOR}}
    )
    assert ("sealed" in merged["oauth"]) is stays


def test_we_never_write_a_persons_key() -> None:
    assert merge({}, {"oauth": {"state": "x", "sealed": "ours?"}}, HUMAN, {}) == {"oauth": {"state": "x"}}
