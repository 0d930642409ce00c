"""Just enough SQL to log a statement without its literals and to say whether it wrote."""

from __future__ import annotations

import re

# A pass that changes nothing still notes here what it has verified; that is not counted as a write.
EXEMPT = frozenset({"reconciler_item_verifications", "reconciler_followed"})

_TOKENS = re.compile(
    r"""(?P<name>"(?:[^"]|"")*")
      | (?P<comment>--[^\n]*|/\*.*?\*/)
      | (?P<literal>\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)
                  | \b[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
                  | '(?:[^']|'')*(?:'|\Z)
                  | (?<![\w$.])\d+(?:\.\d+)?\b)""",
    re.VERBOSE | re.DOTALL,
)
_TABLES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|UPDATE|TRUNCATE(?:\s+TABLE)?|COPY"
    r"|(?:CREATE|ALTER|DROP)\s+TABLE)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"
    r'((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)',
    re.IGNORECASE,
)
_MODIFIES = re.compile(
    r"\b(?:INSERT\s+INTO|DELETE\s+FROM|MERGE\s+INTO|UPDATE\s+(?!OF\b|SKIP\b|NOWAIT\b)\w)", re.I
)
_CONDITIONS = re.compile(r"\bIF\s+(?:NOT\s+)?EXISTS\b", re.IGNORECASE)
_LONGEST = 300
_ROWS = {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"}
_DEFINITIONS = {"CREATE", "ALTER", "DROP", "TRUNCATE", "GRANT", "REVOKE", "COMMENT", "DO", "CALL", "REINDEX"}


def statements(sql: str) -> list[str]:
    """Return its statements on one line each, literals replaced by `?` and comments left out."""
    plain = _TOKENS.sub(lambda token: token["name"] or ("?" if token["literal"] else " "), sql)
    parts = (" ".join(part.split()) for part in plain.split(";"))
    return [part for part in parts if part]


def verb(statement: str) -> str:
    """Return its first word in capitals; COPY TO is a reading one."""
    word = re.match(r"[A-Za-z]*", statement)
    return word[0].upper() if word else ""


def shortened(statement: str) -> str:
    """Return it as long as a log line wants it."""
    return statement if len(statement) <= _LONGEST else f"{statement[:_LONGEST]}…"


def wrote(statement: str, tag: str, skipped: int = 0) -> bool:
    """Say whether a statement that ended well changed what the database keeps.

    `tag` is the server's command tag ("INSERT 0 1"); `skipped` the number of its notices that something was
    skipped because it exists already, or does not.
    """
    tables = {name.rpartition(".")[2].strip('"').lower() for name in _TABLES.findall(statement)}
    if tables and tables <= EXEMPT:
        return False
    first = verb(statement)
    rows = int(tag.rpartition(" ")[2]) if tag.rpartition(" ")[2].isdigit() else 0
    if first == "COPY":
        return rows > 0 and re.search(r"\bFROM\b", statement, re.IGNORECASE) is not None
    if first in _ROWS:
        return rows > 0
    if first in _DEFINITIONS:
        conditions = len(_CONDITIONS.findall(statement))
        return not (conditions and skipped >= conditions)
    # A common table expression may write, whatever its outer statement returns.
    return first == "WITH" and _MODIFIES.search(statement) is not None
