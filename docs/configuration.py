"""The page with every section and key of the configuration, from the settings classes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

# What a pass consists of, so that all its sections are known.
import reconciler.engine.cycle
import reconciler.kinds  # noqa: F401
from reconciler.engine.configuration import known_settings
from reconciler.model.duration import format_duration
from reconciler.settings.giving import Settings

_FIRST, _LAST = {"config", "manifests"}, {"schedule", "serve", "work"}
"""The sections that no system has; those between them go by name."""


def _place(kind: type[Settings]) -> tuple[int, str]:
    return (kind.section in _LAST) - (kind.section in _FIRST), kind.section.lower()


SECTIONS = tuple(
    sorted(
        (each for each in known_settings() if each.__module__.partition(".")[0] == "reconciler"), key=_place
    )
)
INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from the settings classes; change those. -->

What is public stands in `reconciler.yaml` in the working directory, or in the file named by `--config`.
Secrets come from the environment, which wins over the file. Wherever a variable `NAME` is given, `NAME_FILE`
may name a file that holds the value instead. Every pass reads those files anew, so a rotated secret counts
from the next pass on; one that is empty, or cannot be read or used then, is an error of that pass, which does
nothing.
`reconciler.yaml` is read once, at the start.

    config:
      repository: https://github.com/acme/mesh-six-projects.git
    manifests:
      repository: https://github.com/acme/mesh-six.git
    projects:
      repositories: ["acme/*"]
    vault:
      address: https://vault.example
    argocd:
      server: https://argocd.example

Only `config` and `github` are required, and `projects.repositories`, without which no repository is
onboarded. A section that nobody sets up is *skipped*, and a pass says which setting would turn it on. One
that is half set up, or that is taken away after a project used it, is an error of the resources that need
it; the others go on. So is an address that is none, or a credential with a line break in it. An unknown
section or key is an error at once that names the nearest right one, and so is a value of another type.
Lengths of time are written like `90s`, `5m`, `2h`.
"""


def page() -> str:
    """Return the text of configuration.md."""
    return "\n".join([INTRODUCTION, *(line for section in SECTIONS for line in _section(section))])


def _section(section: type[Settings]) -> Iterator[str]:
    yield f"## {section.section}"
    yield ""
    yield " ".join((section.__doc__ or "").split())
    yield ""
    yield "| key | environment | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in section.model_fields.items():
        key, variable = _names(section, name, field)
        meaning = " ".join((field.description or "").split()).replace("|", "\\|")
        secret = " *Secret.*" if "SecretStr" in str(field.annotation) else ""
        yield f"| `{key}` | {variable} | {_default(field)} | {meaning}{secret} |"
    yield ""


def _names(section: type[Settings], name: str, field: FieldInfo) -> tuple[str, str]:
    choices = [str(choice) for choice in getattr(field.validation_alias, "choices", ())]
    generate: Any = section.model_config["alias_generator"]
    key = next((choice for choice in choices if not choice.isupper()), generate(name))
    variable = next((choice for choice in choices if choice.isupper()), None)
    return key, f"`{variable}`" if variable else ""


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or field.is_required() or field.default_factory or isinstance(value, SecretStr):
        return ""
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "<br>".join(f"`{each}`" for each in value) or "`[]`"
    return f"`{value}`"
