"""Nothing that a file or a server says makes a terminal or a page do anything."""

from __future__ import annotations

import io
import json

import pytest
from markdown_it import MarkdownIt
from rich.table import Table
from rich.text import Text

from reconciler.faces.cli.console import console
from reconciler.faces.cli.terminal import markdown, say, say_json

HOSTILE = (
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b[2J\x1b[H",
    "\u009b31m",
    "\u202eevil\u202c",
    "a\rb\x08c",
    "\u2066x\u2069",
    "\x1b]8;;https://evil.example\x1b\\\\click\x1b]8;;\x1b\\\\",
)


def obeyed(text: str) -> set[str]:
    return {sign for sign in text if not sign.isprintable() and sign != "\n"}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_terminal_obeys_nothing(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(f"error: {hostile}\nnext")
    say(f"error: {hostile}", err=True)
    say_json({"a": [hostile]})
    out, err = capsys.readouterr()
    assert obeyed(out + err) == set()
    assert json.loads(out[out.index("{") :]) == {"a": [hostile]}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_terminal_with_colours_obeys_only_ours(hostile: str) -> None:
    def shown(text: str) -> str:
        out = console()
        out.file = io.StringIO()
        out._force_terminal = True  # noqa: SLF001 - rich has no other way after it was made
        table = Table()
        table.add_column(text)
        table.add_row(text, Text(text, "bold red"))
        out.print(text, table, Text(text, "green"))
        return out.file.getvalue()

    assert shown(hostile).count("\x1b") <= shown("x" * 40).count("\x1b") + 4
    assert obeyed(shown(hostile)) <= {"\x1b"}
    assert "\x1b]" not in shown(hostile)


@pytest.mark.parametrize(
    "hostile",
    [
        "![x](https://evil.example/a.png)",
        "[click](https://evil.example)",
        "<img src=x onerror=alert(1)>",
        "a | b | c",
        "`code` **bold** _em_ ~~gone~~",
        "https://evil.example www.evil.example",
        "line\nbreak\n# heading",
        "&lt;b&gt;",
        "back\\\\slash \\| pipe",
        *HOSTILE,
    ],
)
def test_a_comment_shows_what_was_written_and_makes_nothing_of_it(hostile: str) -> None:
    page = MarkdownIt("commonmark", {"linkify": False}).enable("table")
    tokens = page.parse(f"| a | b |\n|---|---|\n| {markdown(hostile)} | x |\n")
    cells = [token for token in tokens if token.type == "inline"]
    assert len(cells) == 4
    children = cells[2].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    said = "".join(child.content for child in children)
    assert obeyed(said) <= {"\u200b"}
    if hostile.isprintable():
        assert said.replace("\u200b", "") == hostile


@pytest.mark.parametrize("hostile", ["@acme/team", "see #12", "https://x.example", "www.x.example"])
def test_nobody_is_called_and_nothing_is_linked(hostile: str) -> None:
    for meant in ("@a", "#1", "://", "www."):
        assert meant not in markdown(hostile)
