"""How a pass comes by its clients: settings in, one client of each type out, readers apart from writers.

Planning code is only ever handed a `Reading`, which cannot give out a `Writer`; so nothing else in the
program asks whether it may write. This module knows no system by name.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.model.errors import ConfigurationError, NotConfigured, UnusableSetting

_UNUSABLE = "unusable"
_ADDRESS = re.compile(
    r"https?://(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?(?:/[^\s?#]*)?", re.ASCII | re.IGNORECASE
)


def _sendable(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise PydanticCustomError(
            _UNUSABLE,
            "it is not one line of plain characters",
            {"remedy": "copy it anew, without line breaks"},
        )
    return value


def _web_address(value: str) -> str:
    try:
        usable = _ADDRESS.fullmatch(value) is not None and urlsplit(value).port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PydanticCustomError(
            _UNUSABLE,
            "it is no http(s) address",
            {"remedy": "write it like https://name.example or http://name:8080, without user and query"},
        )
    return value.rstrip("/")


def _with_scheme(value: str) -> str:
    return value if "://" in value else f"https://{value}"


HeaderSecret = Annotated[SecretStr, AfterValidator(_sendable)]
"""A secret that is sent as an HTTP header, which cannot hold everything that a bad copy may bring along."""
WebAddress = Annotated[str, AfterValidator(_web_address)]
"""The address of a system that speaks HTTP; kept without a slash at its end."""
HostOrWebAddress = Annotated[str, AfterValidator(_with_scheme), AfterValidator(_web_address)]
"""The same; a mere `host` or `host:port` is spoken to with TLS."""


class Settings(BaseSettings):
    """One section of `reconciler.yaml`; keys are camelCase there.

    A field that may come from the environment names its variable as an alias:
    `token: SecretStr | None = Field(None, validation_alias=AliasChoices("token", "VAULT_TOKEN"))`.
    The environment wins over the file; `VAULT_TOKEN_FILE` names a file that holds the value.
    """

    model_config = SettingsConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
    section: ClassVar[str]
    place: ClassVar[tuple[str, ...]] = ()
    """Fields that say where the system is, and which part of it is ours."""

    def missing(self) -> str | None:
        """Name the setting without which this section is off, or None when it is on."""
        return None

    def check(self) -> None:
        """Raise ConfigurationError when the section is on but half set (an address without credentials)."""

    @classmethod
    def load(cls, values: Mapping[str, Any], environ: Mapping[str, str]) -> Self:
        """Build the section from the file's values and the given environment; ConfigurationError if wrong."""
        try:
            return cls(**values, _environ=environ)  # type: ignore[call-arg]
        except ValidationError as error:
            errors = error.errors(include_input=False, include_url=False)
            first = next((each for each in errors if each["type"] != _UNUSABLE), errors[0])
            where = ".".join(str(part) for part in (cls.section, *first["loc"]))
            said = first["msg"].removeprefix("Value error, ")
            message, remedy = f"setting {where}: {said}", "docs/configuration.md lists every setting"
            if first["type"] == "extra_forbidden":
                known = [field.alias or name for name, field in cls.model_fields.items()]
                near = difflib.get_close_matches(str(first["loc"][-1]), known, 1)
                message = f"unknown setting {where}"
                remedy = f"did you mean {near[0]}?" if near else remedy
            if first["type"] == _UNUSABLE:
                raise UnusableSetting(message, remedy=first["ctx"]["remedy"]) from None
            raise ConfigurationError(message, remedy=remedy) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment that `load` was given, never the process's by accident."""
        environ = init_settings.init_kwargs.pop("_environ", {})  # type: ignore[attr-defined]
        return (_Environment(settings_cls, environ), init_settings)


class _Environment(EnvSettingsSource):
    """The environment as given, with `NAME_FILE` standing for the content of a file."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        names = {
            str(choice)
            for field in self.settings_cls.model_fields.values()
            for choice in getattr(field.validation_alias, "choices", ())
            if str(choice).isupper()
        }
        found: dict[str, str | None] = {}
        for name in names:
            if self._environ.get(name):
                found[name] = self._environ[name]
            elif path := self._environ.get(f"{name}_FILE"):
                try:
                    text = Path(path).read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    raise ConfigurationError(
                        f"{name}_FILE: cannot read {path}", remedy="name a readable text file"
                    ) from error
                if not text:
                    # The file is half written, or was rotated badly. Nobody turns a system off like this.
                    raise ConfigurationError(
                        f"{name}_FILE: {path} is empty", remedy=f"fill it, or take {name}_FILE away"
                    )
                found[name] = text
        return found


def _below(kind: type[Settings]) -> set[type[Settings]]:
    return {kind for kind in {kind} if kind.place}.union(*map(_below, kind.__subclasses__()))


S = TypeVar("S", bound=Settings)


class Sections:
    """All sections of the configuration, each built when first asked for."""

    def __init__(
        self, values: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str] | None = None
    ) -> None:
        self._values = values
        self._environ = os.environ if environ is None else environ
        self._built: dict[type[Settings], Settings] = {}

    def get(self, kind: type[S]) -> S:
        """Return the section of that type; ConfigurationError when it is wrong."""
        built = self._built
        if kind not in built:
            built[kind] = self._load(kind)
        found = built[kind]
        assert isinstance(found, kind)  # noqa: S101 - narrows the type of a heterogeneous map
        return found

    def places(self) -> str:
        """Return a digest of where all systems are: with another one, what was read before was not here.

        "" while some section is of no use: then nobody can tell, and what depends on it is told anyway.
        """
        said = []
        try:
            for kind in sorted(_below(Settings), key=lambda kind: kind.section):
                said += [(kind.section, name, str(getattr(self.get(kind), name))) for name in kind.place]
        except ConfigurationError:
            return ""
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    def renew(self) -> None:
        """Read the environment and the files that it names again, so that rotated secrets count.

        ConfigurationError when one of them is wrong now; then all stay as they were. One that only cannot be
        used is nobody else's trouble: `get` says so to whoever needs it. From any thread.
        """
        renewed: dict[type[Settings], Settings] = {}
        for kind in tuple(self._built):
            with suppress(UnusableSetting):
                renewed[kind] = self._load(kind)
        self._built = renewed

    def _load(self, kind: type[Settings]) -> Settings:
        return kind.load(self._values.get(kind.section, {}), self._environ)


class Reader(ABC):
    """The reading half of a client; one instance lives for one pass and may remember its bulk reads."""

    system: ClassVar[str]
    """The system's name as people write it, first word of every error."""
    settings: ClassVar[type[Settings]]

    @classmethod
    @abstractmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client from its sections, without any request."""

    def close(self) -> None:  # noqa: B027 - most clients hold nothing to give back
        """Give back connections."""


class Writer(Reader):
    """The writing half. Its own reads are never remembered: they precede a write."""


R = TypeVar("R", bound=Reader)


class Reading:
    """Gives out one reader of each type for the length of a pass."""

    def __init__(
        self,
        sections: Sections,
        given: Mapping[type[Reader], Callable[[], Reader]] | None = None,
        *,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`given`: how to make those that need more than sections; a fault is what everyone gets who asks.

        Who reads for long looks at `stopping` and at `clock`, in seconds.
        """
        self.sections = sections
        self.stopping = stopping
        self.clock = clock
        self._given = dict(given or {})
        self._clients: dict[type[Reader], Reader] = {}

    def get(self, kind: type[R]) -> R:
        """Return the pass's client of that type.

        NotConfigured when nobody set the system up, ConfigurationError when it is half set up.
        """
        self._admit(kind)
        if kind not in self._clients:
            make = self._given.get(kind)
            self._clients[kind] = make() if make else self._connect(kind)
        found = self._clients[kind]
        assert isinstance(found, kind)  # noqa: S101 - narrows the type of a heterogeneous map
        return found

    def close(self) -> None:
        """Close every client that was given out."""
        for client in self._clients.values():
            client.close()

    def _connect(self, kind: type[Reader]) -> Reader:
        settings = self.sections.get(kind.settings)
        if setting := settings.missing():
            raise NotConfigured(f"{kind.system} is not configured", remedy=f"set {setting} to turn it on")
        settings.check()
        return kind.connect(self.sections)

    def _admit(self, kind: type[Reader]) -> None:
        if issubclass(kind, Writer):
            raise TypeError(f"{kind.__name__} writes, and this pass may only read")


class Writing(Reading):
    """Gives out writers too."""

    def _admit(self, kind: type[Reader]) -> None:
        """Everything is admitted."""
