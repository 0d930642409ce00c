"""What the command line prints of hostile text: no terminal obeys it, and no page makes a link of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout

from structlog.testing import capture_logs

from reconciler.engine.kind import Kinds
from reconciler.engine.result import Look
from reconciler.faces.cli import display, plan_view
from reconciler.faces.cli.console import console
from reconciler.faces.cli.display import Program
from reconciler.faces.cli.terminal import markdown, say, say_json, say_markdown
from reconciler.model.errors import InvalidFile
from tests.fuzz.figures import Harm

_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_MEANT = re.compile(r"@\w|#\d|://|\bwww\.|(?<!\\)(?:<\w|\]\()", re.IGNORECASE)
_NOTHING = "\u200b"
"""A space without width: the pages that we make are full of them, on purpose."""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def errors(found: Sequence[InvalidFile]) -> None:
    """Print the errors of a file in every form; Harm when a form holds what somebody would obey."""
    lines = [str(error) for error in found]
    on_terminals(lambda: display.errors(console(), found))
    off_terminals(lambda: display.errors(console(), found))
    off_terminals(lambda: say("\n".join(lines)))
    off_terminals(lambda: say_json(display.broken_json(found)))
    _on_a_page(lambda: say_markdown("\n".join(f"- {markdown(line)}" for line in lines)))


def plans(look: Look, kinds: Kinds) -> None:
    """Print a plan, and what a pass would report, in every form; Harm likewise."""
    rows = display.rows_of(look.reports, Program())
    for print_it in (on_terminals, off_terminals):
        print_it(lambda: plan_view.plan_text(console(), look))
        print_it(lambda: display.print_rows(console(), rows, kinds))
    off_terminals(lambda: say_json(plan_view.plan_json(look)))
    _on_a_page(lambda: say_markdown(plan_view.plan_markdown(look)))


def off_terminals(show: Callable[[], object]) -> None:
    """Print into a file: not one sign in it may be obeyed."""
    _check(_printed(show, io.StringIO()), "")


def on_terminals(show: Callable[[], object]) -> None:
    """Print to a terminal: it may obey our own colours alone."""
    _check(_STYLE.sub("", _printed(show, _Terminal())), "")


def _on_a_page(show: Callable[[], object]) -> None:
    text = _printed(show, io.StringIO())
    _check(text, _NOTHING)
    if found := _MEANT.search(text):
        raise Harm(f"a page would make something of {found.group()!r}")


def _printed(show: Callable[[], object], out: io.StringIO) -> str:
    with capture_logs(), redirect_stdout(out), redirect_stderr(out):  # logs have a form of their own
        show()
    return out.getvalue()


def _check(text: str, but: str) -> None:
    for sign in text:
        if not sign.isprintable() and sign != "\n" and sign not in but:
            raise Harm(f"the sign {sign!a} is printed as it is")
