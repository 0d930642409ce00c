"""The YAML test suite: what of it is read right, what is refused and why, and that nothing is misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamStartEvent,
)

from reconciler.model.errors import InvalidFile
from reconciler.model.yaml_read import BOUNDS, load_documents
from reconciler.model.yaml_text import events

SUITE = Path(__file__).parents[1] / "vendored" / "yaml-test-suite" / "cases.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in SUITE.read_text().splitlines()]
VALID = [case for case in CASES if case["events"] is not None]
INVALID = [case for case in CASES if case["events"] is None]

# YAML that libyaml does not read, and with few exceptions neither does kustomize.
UNREADABLE = {
    "a mapping without a key": "2JQS 6M2F NHX8 NKF9 S3PD SM9W/01 UKK6/00 CFD4 M2N8/00",
    "a reserved directive, or a version to come": "2LFX 6LVF MUS6/05 MUS6/06 BEC7",
    "an anchor or alias whose name has signs in it": "2SXE 8XYN W5VH",
    "in braces: a key or value left out, or a colon without the space": "4ABK FRK4 58MP 5T43 DBG4 HM87/00",
    "in braces or brackets: a key of several lines, or a colon in the next line": """
        4MUZ/00 4MUZ/01 4MUZ/02 5MUD 9SA2 K3WX NJ66 UT92 VJP3/01""",
    "a tab where indentation would be": """
        6BCT 6CA3 A2M4 DK95/00 DK95/03 DK95/04 Q5MG R4YG Y79Y/001 Y79Y/010 96NN/00 96NN/01""",
    "a text without indentation, or a document without ---": "7Z25 DK3J FP8R M7A3 W4TN HWV9 QT73",
}
UNREADABLE_IDS = {each for ids in UNREADABLE.values() for each in ids.split()}
# YAML that libyaml reads in another way: `?x` in brackets, spaces that end a block, a colon in an anchor.
DIFFERENT_IDS = {"652Z", "HM87/01", "JEF9/02", "L24T/01", "Y2GN"}
OWN_RULES = ("has a key that is not plain text", "uses the tag", "uses the alias")


def line(event: Event) -> str:
    """Return an event in the suite's own notation."""
    anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
    marks = (f" &{anchor}" if anchor else "") + (f" <{tag}>" if tag else "")
    match event:
        case DocumentStartEvent():
            return "+DOC" + (" ---" if event.explicit else "")
        case DocumentEndEvent():
            return "-DOC" + (" ..." if event.explicit else "")
        case MappingStartEvent():
            return "+MAP" + (" {}" if event.flow_style else "") + marks
        case SequenceStartEvent():
            return "+SEQ" + (" []" if event.flow_style else "") + marks
        case CollectionEndEvent():
            return "-MAP" if isinstance(event, MappingEndEvent) else "-SEQ"
        case AliasEvent():
            return f"=ALI *{anchor}"
        case ScalarEvent():
            return f"=VAL{marks} {event.style or ':'}{escaped(event.value)}"
        case StreamStartEvent():
            return "+STR"
        case _:
            return "-STR"


def escaped(text: str) -> str:
    for sign, written in (("\\", "\\\\"), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r"), ("\b", "\\b")):
        text = text.replace(sign, written)
    return text


def parsed(case: dict[str, Any]) -> list[str] | None:
    """Return the events of a case in the suite's notation; None for what the parser refuses."""
    try:
        return [line(event) for event in events("x", case["yaml"], BOUNDS)]
    except InvalidFile:
        return None


def refusal(case: dict[str, Any]) -> InvalidFile | None:
    try:
        load_documents("x", case["yaml"].encode())
    except InvalidFile as error:
        return error
    return None


def test_the_suite_is_whole() -> None:
    assert (len(VALID), len(INVALID)) == (308, 94)


def test_the_parser_reads_what_it_reads_as_the_suite_says() -> None:
    found = {case["id"]: parsed(case) for case in VALID}
    assert {name for name, lines in found.items() if lines is None} == UNREADABLE_IDS
    different = {case["id"] for case in VALID if found[case["id"]] not in (None, case["events"])}
    assert different == DIFFERENT_IDS
    assert len(VALID) - len(UNREADABLE_IDS) - len(DIFFERENT_IDS) == 252


def test_nothing_that_is_no_yaml_is_read() -> None:
    assert [case["id"] for case in INVALID if refusal(case) is None] == []


def test_nothing_is_misread() -> None:
    read = [case for case in VALID if refusal(case) is None]
    assert len(read) == 213
    for case in read:
        values = load_documents("x", case["yaml"].encode())
        if "values" in case:
            assert (values or [None]) == (case["values"] or [None]), case["id"]
        assert parsed(case) == case["events"], case["id"]


def test_what_is_refused_is_never_called_no_yaml() -> None:
    refused = {case["id"]: error for case in VALID if (error := refusal(case)) is not None}
    own = {name for name, error in refused.items() if error.message.startswith(OWN_RULES)}
    assert len(own) == 40
    for name in refused.keys() - own:
        said = "programs read differently" if name in DIFFERENT_IDS else "most programs cannot read"
        assert said in refused[name].message, name
    assert refused.keys() - own == (UNREADABLE_IDS | DIFFERENT_IDS) - own


def test_a_place_that_is_named_is_there() -> None:
    for case in CASES:
        error = refusal(case)
        if error is not None and error.line:
            lines = case["yaml"].replace("\r\n", "\n").split("\n")
            assert error.line <= len(lines), case["id"]
            assert error.column <= len(lines[error.line - 1]) + 1, case["id"]
