"""Every error that this program raises on purpose.

    ReconcilerError
    ├── UsageError            the caller must change something; exit code 2
    │   ├── ConfigurationError    a setting is missing or wrong
    │   │   └── UnusableSetting       what it holds cannot be used: that system's resources only are in error
    │   ├── UnknownItem        there is no item of that name
    │   ├── Conflict              it does not go with what is there already
    │   └── InvalidFile           a file in a repository is wrong; has path, line, column
    │       └── BeyondBounds          it may be right, but is more than is read of one
    ├── UnsafeError           refused, because it could destroy something; exit code 3
    │   └── Emptied               a repository is empty where something was
    ├── NotConfigured         a system that nobody has set up: its resources are skipped
    └── SystemFault           an external system did not do as asked; has the system's name
        ├── Unavailable           timeout, connection error, 5xx, rate limit: nobody knows, try later
        ├── Denied                401 or 403: credentials missing, wrong, expired or too weak
        ├── Missing               404: the thing is not there
        ├── Collision             409, "already exists", check-and-set mismatch: somebody was first
        └── Rejected              every other refusal
            └── Senseless             an answer that is not the system's own, or lacks what it must have

Clients raise nothing else: they wrap their library's errors once (`raise Denied(...) from error`) and put no
response body, URL with credentials or secret into the text.
"""

from __future__ import annotations

import errno
import math
import os
from typing import ClassVar

DEFECT = "this is a defect: report it with the debug log (-v)"
"""The remedy of what nobody foresaw."""
LONGEST_PAUSE = 86_400.0
"""Seconds. Who asks us to stay away for longer is asked again after a day: the number may be nonsense."""


def printable(text: str) -> str:
    """Return the text with everything escaped that a terminal would obey and not show."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def bounded_pause(seconds: float | None) -> float | None:
    """Return a pause that a system named, within reason; None for none, and for what is no number."""
    if seconds is None or math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def of_this_machine(error: Exception) -> tuple[str, str] | None:
    """Return (reason, remedy) of what is no defect but a want of this machine; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in _WANTS:
        return None
    return f"this machine cannot go on: {os.strerror(error.errno or 0)}", _WANTS[error.errno]


_WANTS = {
    errno.EMFILE: "let this process open more files (`ulimit -n`, 256 is plenty)",
    errno.ENFILE: "let this machine open more files",
    errno.ENOMEM: "give it more memory",
    errno.ENOSPC: "free some space on its disk",
    errno.EDQUOT: "free some of its quota on the disk",
}


class ReconcilerError(Exception):
    """An error with a sentence for a person and, where there is one, what to do about it."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        # Names in git are bytes. What of them is no text would end whatever writes the sentence down.
        message, remedy = (text.encode(errors="backslashreplace").decode() for text in (message, remedy))
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class UsageError(ReconcilerError):
    """The caller must change something first; exit code 2."""


class ConfigurationError(UsageError):
    """A setting is missing or wrong."""


class UnusableSetting(ConfigurationError):
    """An address or a credential that is none. It came from elsewhere and is no reason to stop the rest."""


class UnknownItem(UsageError):
    """There is no item of that name."""


class Conflict(UsageError):
    """What is asked for does not go with what is there already."""


class InvalidFile(UsageError):
    """A file that a person wrote is wrong. `line` and `column` count from 1; 0 means the whole file."""

    def __init__(self, path: str, message: str, *, line: int = 0, column: int = 0, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.path = path
        self.line = line
        self.column = column

    @property
    def place(self) -> str:
        """Where it is wrong: path, line and column."""
        return printable(self.path) + (f":{self.line}:{self.column}" if self.line else "")

    def __str__(self) -> str:
        return f"{self.place}: {super().__str__()}"


class BeyondBounds(InvalidFile):
    """A file that is too large, too deep or too long to be read: nobody can say whether it is right."""


class UnsafeError(ReconcilerError):
    """Refused because it could destroy something; exit code 3."""


class Emptied(UnsafeError):
    """A repository, or what it is there for, is empty where something was: nothing is pushed to it."""


class NotConfigured(ReconcilerError):
    """Nobody has set this system up; `remedy` names the setting that turns it on."""


class SystemFault(ReconcilerError):
    """An external system did not do as asked.

    `retry_after` is in seconds, when the system named a time that makes sense; None when it did not. Whatever
    was named, it is between 0 and `LONGEST_PAUSE` here, so that everybody can reckon with it.
    """

    usual_remedy: ClassVar[str] = ""

    def __init__(
        self, system: str, message: str, *, remedy: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{system}: {message}", remedy=remedy or self.usual_remedy)
        self.system = system
        self.retry_after = bounded_pause(retry_after)


class Unavailable(SystemFault):
    """Timeout, connection error, 5xx or rate limit. A write that ends so may or may not have happened."""

    usual_remedy = "the next pass tries again; if this lasts, check that it runs and can be reached"


class Denied(SystemFault):
    """Credentials are missing, wrong, expired or too weak."""


class Missing(SystemFault):
    """The thing asked for is not there."""


class Collision(SystemFault):
    """Somebody was first: it exists already, or it changed since it was read."""


class Rejected(SystemFault):
    """Any other refusal."""

    usual_remedy = "correct what it says; the next pass tries again"


class Senseless(Rejected):
    """What came is not this system's own answer, or lacks what that must have.

    It proves nothing: of a read neither absence nor emptiness, and of a write neither success nor refusal.
    """

    usual_remedy = "check that its address in the settings is its own, and what stands between us and it"
