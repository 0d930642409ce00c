"""LiteLLM's admin API: teams and virtual keys, by pages. Knows nothing of projects.

Its errors are text for people: that somebody was first, or that an administrator forbids keys made
elsewhere, is told by their words. What is known of LiteLLM is in docs/systems/litellm.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

import httpx
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, FiniteFloat, SecretStr, ValidationError

from reconciler.clients.answers import body_of, object_in
from reconciler.clients.http import JsonClient
from reconciler.model.errors import Collision, ConfigurationError, Missing, Rejected, Senseless
from reconciler.settings.giving import HeaderSecret, Reader, Sections, Settings, WebAddress, Writer

PAGE = 100
"""Rows asked for at once: the most that LiteLLM gives."""
MOST_PAGES = 1_000
"""Of one list: a number of pages beyond that is none."""
_TEAMS = "/v2/team/list"


class LiteLLMSettings(Settings):
    """The LLM gateway, and what projects get there that say nothing else."""

    section: ClassVar[str] = "litellm"

    url: WebAddress | None = Field(None, validation_alias=AliasChoices("url", "LITELLM_URL"))
    """The proxy's address."""
    admin_key: HeaderSecret | None = Field(
        None, validation_alias=AliasChoices("adminKey", "LITELLM_ADMIN_KEY")
    )
    """The master key, or the key of a proxy admin."""
    models: tuple[str, ...] = ()
    """What a project may use that names no default model; empty means every model of the proxy."""
    max_budget: FiniteFloat | None = Field(None, ge=0)
    """US dollars a month for a project that names no budget; by default no limit."""

    def missing(self) -> str | None:
        """Off without a URL."""
        return None if self.url else "litellm.url (LITELLM_URL)"

    def check(self) -> None:
        """Require the admin key."""
        if not self.admin_key:
            raise ConfigurationError("LiteLLM has a URL and no admin key", remedy="set LITELLM_ADMIN_KEY")


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


RowT = TypeVar("RowT", bound=_Row)


class Aliases(_Row):
    """Other names of models, by which a team may ask for them."""

    model_aliases: Mapping[str, Any] | None = None


class Team(_Row):
    """A team as LiteLLM returns it. `max_budget` is US dollars a `budget_duration`."""

    team_id: str
    team_alias: str | None = None
    models: tuple[str, ...] = ()
    max_budget: FiniteFloat | None = None
    budget_duration: str | None = None
    metadata: Mapping[str, Any] | None = None
    litellm_model_table: Aliases | None = None

    @property
    def model_aliases(self) -> Mapping[str, Any]:
        """The names of models that only this team has."""
        return (self.litellm_model_table and self.litellm_model_table.model_aliases) or {}


class Key(_Row):
    """A virtual key; `token` is the SHA-256 of its value, which is never returned.

    `status` is given only where one key is asked for: LiteLLM goes on showing a `deleted` one.
    """

    token: str
    key_alias: str | None = None
    team_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    status: str | None = None
    blocked: bool | None = None


class LiteLLM(Reader):
    """Reads all teams and all keys, each once for a pass."""

    system: ClassVar[str] = "LiteLLM"
    settings: ClassVar[type[Settings]] = LiteLLMSettings

    def __init__(self, url: str, admin_key: SecretStr) -> None:
        headers = {"authorization": f"Bearer {admin_key.get_secret_value()}"}
        self._http = JsonClient(self.system, url, own=_is_own, headers=headers)

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client from the section."""
        settings = sections.get(LiteLLMSettings)
        return cls(settings.url or "", settings.admin_key or SecretStr(""))

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    @cached_property
    def teams(self) -> Mapping[str, Team]:
        """Every team by its id; one request per hundred."""
        rows = self._pages(_TEAMS, {"page_size": PAGE}, "teams")
        return {team.team_id: team for team in (_read(Team, row) for row in rows)}

    @cached_property
    def keys(self) -> Mapping[str, Sequence[Key]]:
        """Every key that has an alias, by it; one request per hundred.

        LiteLLM refuses an alias that is taken, but not when two ask at once.
        """
        found: dict[str, list[Key]] = {}
        for row in self._pages("/key/list", {"size": PAGE, "return_full_object": "true"}, "keys"):
            key = _read(Key, row)
            if key.key_alias:
                found.setdefault(key.key_alias, []).append(key)
        return found

    def _pages(self, path: str, params: Mapping[str, Any], name: str) -> Iterator[Any]:
        page, pages = 1, 1
        while page <= pages:
            answer = self._http.get(path, params={**params, "page": page})
            rows = answer.get(name) if isinstance(answer, dict) else None
            # Without the number of pages nobody could tell that this is all: what is missing would be made.
            total = answer.get("total_pages") if isinstance(answer, dict) else None
            if not isinstance(rows, list) or not isinstance(total, int) or not 0 <= total <= MOST_PAGES:
                raise Senseless(self.system, f"GET {path} answered without a list of {name}, page by page")
            yield from rows
            pages = total
            page += 1


class LiteLLMWriter(LiteLLM, Writer):
    """Creates and updates; never retries a create."""

    def team(self, team_id: str) -> Team | None:
        """Return the team as it is now, or None."""
        try:
            answer = self._http.retry.repeat(self._send, "GET", "/team/info", params={"team_id": team_id})
        except Missing:
            return None
        team = _read(Team, answer.get("team_info"))
        self._confirm(team.team_id == team_id, "GET /team/info")
        return team

    def create_team(self, fields: Mapping[str, Any]) -> None:
        """Create the team; Collision when that id is taken."""
        answer = self._send("POST", "/team/new", json=dict(fields))
        self._confirm(answer.get("team_id") == fields["team_id"], "POST /team/new")

    def update_team(self, fields: Mapping[str, Any]) -> None:
        """Set these fields of the team `team_id`; `metadata` is replaced as a whole."""
        answer = self._send("POST", "/team/update", json=dict(fields))
        self._confirm(answer.get("team_id") == fields["team_id"], "POST /team/update")

    def key(self, value: SecretStr) -> Key | None:
        """Return the registered key with this value, or None. Sends only its hash."""
        token = hashlib.sha256(value.get_secret_value().encode()).hexdigest()
        try:
            answer = self._http.retry.repeat(self._send, "GET", "/key/info", params={"key": token})
        except Missing:
            return None
        info = answer.get("info")
        self._confirm(isinstance(info, dict) and bool(info), "GET /key/info")
        key = _read(Key, {"token": token, **(info or {})})
        self._confirm(key.token == token, "GET /key/info")
        return None if key.status == "deleted" else key

    def keys_named(self, alias: str) -> Sequence[Key]:
        """Return the keys with exactly this alias as they are now."""
        params = {"key_alias": alias, "return_full_object": "true", "size": PAGE, "page": 1}
        rows = self._http.retry.repeat(self._send, "GET", "/key/list", params=params).get("keys")
        if not isinstance(rows, list):
            raise Senseless(self.system, "GET /key/list answered without a list of keys")
        return [key for key in (_read(Key, row) for row in rows) if key.key_alias == alias]

    def register_key(self, value: SecretStr, fields: Mapping[str, Any]) -> None:
        """Register a key that was made elsewhere; Collision when its alias is taken.

        One that is registered already stays as it is, whatever the fields.
        """
        answer = self._send("POST", "/key/generate", json={"key": value.get_secret_value(), **fields})
        self._confirm(isinstance(answer.get("key"), str) and "key_alias" in answer, "POST /key/generate")

    def update_key(self, token: str, fields: Mapping[str, Any]) -> None:
        """Set these fields of the key with that hash."""
        answer = self._send("POST", "/key/update", json={"key": token, **fields})
        self._confirm(answer.get("key") == token, "POST /key/update")

    def _confirm(self, confirmed: bool, said: str) -> None:
        """Raise Senseless unless an answer tells of what was asked for: else nobody knows what came of it."""
        if not confirmed:
            raise Senseless(self.system, f"{said} was not answered with what it was for")

    def delete_key(self, token: str) -> None:
        """Delete the key with that hash; nothing happens when there is none. What it spent is kept."""
        with suppress(Missing):
            answer = self._send("POST", "/key/delete", json={"keys": [token]})
            self._confirm(token in (answer.get("deleted_keys") or ()), "POST /key/delete")

    def _send(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - httpx's own
        response = self._http.send(method, path, **options)
        if response.status_code == 400 and "already exists" in _message(response):
            raise Collision(self.system, f"{method} {path}: that id or alias is taken")
        if response.status_code == 403 and "Custom API key" in _message(response):
            remedy = "have `disable_custom_api_keys` taken out of its general_settings, or set `skipLiteLLM`"
            raise Rejected(self.system, "it takes no keys that were made elsewhere", remedy=remedy)
        if fault := self._http.fault_of(method, path, response):
            raise fault
        content_type = response.headers.get("content-type", "")
        answer = body_of(self.system, f"{method} {path}", response.content, content_type)
        if not isinstance(answer, dict):
            raise Senseless(self.system, f"{method} {path} answered with something that is no JSON object")
        return answer


def _is_own(status: int, path: str, error: Mapping[str, Any]) -> bool:
    """Tell whether it is how LiteLLM refuses; another 404 is of a path that is not there.

    That of the teams' list, which there always is, is no absence of anything, whoever says it.
    """
    inner = error.get("error")
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return status != 404 or str(inner.get("code")) == "404"
    return path == _TEAMS if status == 404 else "detail" in error


def _message(response: httpx.Response) -> str:
    """Return the text of LiteLLM's error; inside it may be the repr of a dict, so it is only searched."""
    error = object_in(response.content).get("error")
    return str(error.get("message")) if isinstance(error, dict) else ""


def _read(kind: type[RowT], row: object) -> RowT:
    try:
        return kind.model_validate(row)
    except ValidationError:
        # Not `from`: the error quotes what it was given.
        raise Senseless("LiteLLM", f"answered a {kind.__name__.lower()} that makes no sense") from None
