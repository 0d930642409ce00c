"""How a plan is shown: to people, to machines, and as a comment on a pull request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from reconciler.engine.naming import short_names
from reconciler.engine.result import Look
from reconciler.faces.cli import display
from reconciler.faces.cli.terminal import markdown
from reconciler.model.decision import Action, Change
from reconciler.model.errors import InvalidFile
from reconciler.model.json import Json, Later, Object, canonical
from reconciler.model.outcome import Condition
from reconciler.model.removal import stamp

SIGNS: Mapping[Action, tuple[str, str]] = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.DISABLE: ("!", "bold magenta"),
    Action.DELETE: ("-", "bold red"),
    Action.ADOPT: ("=", "cyan"),
}
LONGEST_VALUE = 160


def plan_text(out: Console, look: Look) -> None:
    """Print every change with what it sets, by item, then a count."""
    names = short_names(item.id for item in look.plan)
    for line in _leaving_lines(look):
        out.print(line, style="bold red")
    for item in look.plan:
        if item.changes and item.id in look.leaving:
            out.print(f"{names[item.id]} is being REMOVED: its file is gone", style="bold red")
        elif item.changes:
            out.print(names[item.id], style="bold")
        for change in item.changes:
            sign, style = SIGNS[change.action]
            out.print(Text(f"  {sign} ", style).append(f"{change.resource}: {change.summary}", "default"))
            for line in differences(change):
                out.print(Padding(Text(line, "dim"), (0, 0, 0, 6), expand=False))
    display.unconfigured(out, look.reports)
    display.troubles(out, look.reports)
    display.errors(out, (*_broken(look), *look.problems))
    changes = look.plan.changes
    if not changes:
        unread = any(o.condition is Condition.UNKNOWN for each in look.reports for o in each.outcomes)
        out.print(UNREAD if unread else REST if _wrong(look) else QUIET)
        return
    counts = {action: sum(change.action is action for change in changes) for action in Action}
    words = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    out.print(f"Plan: {words}. Digest {look.plan.digest[:12]}. Nothing was written.")


def _leaving_lines(look: Look) -> list[str]:
    """Say of every item whose file is gone how far it has come."""
    return [
        f"REMOVAL of {item}: {each.step}"
        + (f", until {stamp(each.until)}" if each.until else "")
        + (f": {each.reason} — {each.remedy}" if each.reason else "")
        for item, each in look.leaving.items()
    ]


QUIET = "No changes: everything is as the files say, or waits for something."
REST = "No changes: everything else is as its file says, or waits."
UNREAD = "No changes that can be told, for what is unknown above may differ. All else is as its file says."


def plan_json(look: Look) -> dict[str, Json]:
    """Return the plan for machines: {digest, changes, leaving, broken, problems, troubles}, each a list."""
    changes: list[Json] = [
        {
            "kind": change.item.kind,
            "slug": change.item.slug,
            "resource": change.resource,
            "action": str(change.action),
            "summary": change.summary,
            "before": json.loads(canonical(change.before)),
            "after": json.loads(canonical(change.after)),
        }
        for change in look.plan.changes
    ]
    return {
        "digest": look.plan.digest,
        "changes": changes,
        "leaving": [
            {"kind": item.kind, "slug": item.slug, **each.section} for item, each in look.leaving.items()
        ],
        "broken": display.broken_json(_broken(look)),
        "problems": list(look.problems),
        "troubles": [
            {
                "kind": each.kind,
                "slug": each.slug,
                "resource": outcome.resource,
                **display.outcome_json(outcome),
            }
            for each in look.reports
            for outcome in each.outcomes
            if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}
        ],
    }


def plan_markdown(look: Look) -> str:
    """Return the plan as a comment for a pull request."""
    lines = ["### Onboarding plan", ""]
    names = short_names(item.id for item in look.plan)
    wrong = [*(f"- **error** {markdown(str(each))}" for each in (*_broken(look), *look.problems))]
    for each in look.reports:
        for outcome in each.outcomes:
            if outcome.condition in {Condition.ERROR, Condition.UNKNOWN}:
                remedy = f" — {outcome.remedy}" if outcome.remedy else ""
                place = f"{names.get(each.id, each.id)}, {outcome.resource}"
                wrong.append(f"- **{outcome.condition}** {markdown(f'{place}: {outcome.reason}{remedy}')}")
    wrong = [*(f"- **{markdown(line)}**" for line in _leaving_lines(look)), *wrong]
    lines += [*wrong, *([""] if wrong else [])]
    changes = look.plan.changes
    if not changes:
        return "\n".join([*lines, "No changes."])
    lines += ["| | name | resource | change |", "|---|---|---|---|"]
    for change in changes:
        cells = (names[change.item], change.resource, change.summary)
        lines.append(f"| `{SIGNS[change.action][0]}` | " + " | ".join(map(markdown, cells)) + " |")
    number = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
    return "\n".join([*lines, "", f"{number}, digest `{look.plan.digest[:12]}`."])


def differences(change: Change) -> list[str]:
    """Return a line for each value that the change sets, except those that only applying can tell."""
    return [
        f"{key}: {_shown(change.before[key])} → {_shown(value)}"
        if key in change.before
        else f"{key}: {_shown(value)}"
        for key, value in change.after.items()
        if change.before.get(key) != value and not isinstance(value, Later)
    ]


def _shown(value: Json) -> str:
    text = value if isinstance(value, str) else canonical(_without_later(value))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _without_later(value: Json) -> Json:
    if isinstance(value, Mapping):
        kept: Object = {
            key: _without_later(item) for key, item in value.items() if not isinstance(item, Later)
        }
        return kept
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_without_later(item) for item in value]
    return value


def _broken(look: Look) -> tuple[InvalidFile, ...]:
    return (*look.loaded.broken, *look.loaded.unreadable_statuses.values())


def _wrong(look: Look) -> bool:
    return bool(look.exit_code)
