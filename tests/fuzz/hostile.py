"""Text and values that mean something to whoever reads them next: a terminal, YAML, a shell, a page, git."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random

CONTROLS = (
    "\x00", "a\x00b", "\x07", "\x08", "a\rb", "line\nbreak", "two\n---\nkind: other", "\tindented",
    "\x1b[2J", "\x1b[31mred", "\x1b]52;c;ZXZpbA==\x07", "\x1b]0;title\x07",
    "\x1b]8;;https://evil.example\x1b\\x\x1b]8;;\x1b\\", "\x9b31m", "\x90q\x9c", "\x85next", "\u2028line",
    "\u2029paragraph", "\x7f", "\ufeffmark", "\u00adsoft", "\u200bnothing", "\u202eevil\u202c",
    "\u2066x\u2069", "\u200f", "\u061c", "\ufff9a\ufffab\ufffb", "\ue000", "\U000e0041\U000e007f", "\ufdd0",
    "\uffff",
)  # fmt: skip
YAML = (
    "a: b", "- x", "? x", "# no comment", "x # y", " leading", "trailing ", "&anchor x", "*alias",
    "!!python/object x", "!tag", "|", ">", "%TAG", "@at", "`tick`", "{a: 1}", "[1, 2]", "{", "]", ": ",
    "x:", "---", "...", "--- x", "<<", "~", "null", "true", "yes", "no", "on", "off", "y", "N", "0", "007",
    "0x1F", "0o17", "1e3", "12e45678", ".inf", ".nan", "-.INF", "1_000", "12:30:45", "2026-01-01",
    "2026-01-01T00:00:00Z", "=", '"', "'", "''", '\\"', "\\", "\\n", "\\x41", '"}\n{"a": "b',
    "'\nnew: key\nx: '", "|\n  block", "", " ", "  ",
)  # fmt: skip
TEMPLATES = (
    "{{ slug }}", "{{ ''.__class__ }}", "{% raw %}", "{% for x in y %}", "{# gone #}", "${HOME}", "$(HOME)",
    "$$(HOME)", "$HOME", "$(id)", "`id`", "; rm -rf /", "&& x", "| x", "> /x", "%s", "%(name)s", "%n",
    "{0}", "{name}", "{0.__class__}", "$(VAR)/$[x]", "images:\n- name: x", "$patch: delete",
    "../../etc/passwd", "/etc/passwd", "..", ".", "a/../b", ".git/config", "a//b", "a\\b", "C:\\x", "~root",
    "-", "--", "--upload-pack=x", "-oProxyCommand=x", "-rf",
)  # fmt: skip
PAGES = (
    "@acme/everyone", "see #12", "https://evil.example", "www.evil.example",
    "![x](https://evil.example/a.png)", "[x](javascript:x)", "<script>x</script>", "<!-- x", "a | b",
    "**b** _e_ ~~g~~", "```\nx\n```", "# heading", "&lt;b&gt;", "[red]x[/red]", "[/]", ":smile:",
)  # fmt: skip
LETTERS = (
    "é😀", "👩‍👩‍👧", "e\u0301", "Z\u0351\u036f\u0363" * 8, "\u0660\u0661\u0662", "\uff11\uff12", "²", "Ⅷ",
    "ﬁ", "İ", "ı", "ß", "ſ", "K", "acme\u2044widgets", "аcme", "ＡＣＭＥ", "\u3000", "\xa0", "\u2800",
)  # fmt: skip
LONG = ("x" * 49, "x" * 201, "x" * 5_000, "é" * 300, "{" * 300, "- " * 300, "9" * 101, "9" * 400, "a-" * 60)
TEXTS = (*CONTROLS, *YAML, *TEMPLATES, *PAGES, *LETTERS, *LONG)
_ALPHABET = "".join(TEXTS[: len(CONTROLS)]) + "aZ09é😀 \t\"'`\\{}[]()<>#:;,.!?*&%$@|~^-_=+/"

ESCAPES = (
    '"\\ud800"', '"\\udc00x"', '"\\ud83d\\ude00"', '"\\0"', '"\\e[2J"', '"\\N\\L\\P"', '"\\U0010FFFF"',
    '"\\UFFFFFFFF"', '"\\x9b"', '"\\/"', '"\\q"', '"\\\n  x"', '"a\n\n  b"',
)  # fmt: skip
"""Quoted scalars that say by escapes what could not stand there as it is."""
VALUES = (
    "", "~", "null", "[]", "{}", "[null]", "{null: null}", "[[[[[]]]]]", "{a: {b: {c: {}}}}", "true", "0",
    "-1", "1.5", "1e400", "-1e400", "12e45678", ".inf", "-.inf", ".nan", "9" * 30, "-" + "9" * 90,
    "9" * 5_000, "0x" + "f" * 90, "0o" + "7" * 50, "1e-400", "-0.0", "007", "1_000", "12:30:45",
    "2026-01-01", "yes", "=", "<<", "*alias", "&a [*a]", "&a x", "!!str 1", "!!int x", "!!float .inf",
    "!!binary aGk=", "!!set {a}", "!!omap [a: 1]", "!!timestamp 2026-01-01",
    "!!python/object/apply:os.system [id]", "!local x", "!<tag:x> y", "{<<: {a: 1}}", "{a: 1, a: 2}",
    "{? [a]: b}", "{[a]: b}", "{1: a, true: b, 1.5: c}", '{"": x}', '{"\\u0000": x}', '{"\\u202e": x}',
    "|\n", '"\\u001b]52;c;eA==\\u0007"', '"\\u0000"', '"\\ud800"', '"a\\nb"', "'", '"', "[", "{", "]", "\t",
    "%", "@x", "x: y", "- x", "# x", "../../x", '"${HOME}"', "'{{ x }}'", "[" * 40 + "]" * 40,
    "[" + "x, " * 500 + "]", *ESCAPES,
)  # fmt: skip
"""What may stand behind a key of a YAML file, as it is written there."""
FORMS: Mapping[str, Callable[[str], str]] = {
    "escaped": json.dumps,
    "double": lambda text: json.dumps(text, ensure_ascii=False),
    "single": lambda text: "'" + text.replace("'", "''") + "'",
    "plain": lambda text: text,
    "block": lambda text: "|-\n" + "\n".join(f"      {line}" for line in text.split("\n")),
    "tagged": lambda text: f"!!str {json.dumps(text)}",
}
"""The ways to write a text into a YAML file; not all of them hold every text."""


def text(random: Random) -> str:
    """Return a hostile text: one of the known ones, some of them joined, or signs in any order."""
    way = random.random()
    if way < 0.6:
        return random.choice(TEXTS)
    if way < 0.8:
        return "".join(random.choices(TEXTS, k=random.randint(2, 4)))[:6_000]
    return "".join(random.choices(_ALPHABET, k=random.randint(1, 40)))


def value(random: Random) -> str:
    """Return a hostile value as it stands in a YAML file; of one line, save where it is a block."""
    if random.random() < 0.6:
        return random.choice(VALUES)
    return random.choice(list(FORMS.values()))(text(random))
