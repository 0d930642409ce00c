"""Addresses and credentials that are none: what is said of them, and for whom."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from reconciler.clients.litellm import LiteLLMSettings
from reconciler.clients.postgres import PostgresSettings
from reconciler.engine.configuration import load_sections
from reconciler.model.errors import ConfigurationError, UnusableSetting
from reconciler.settings.giving import Sections
from tests.support.declared import VARIABLES

ADDRESSES = {name: each for name, each in VARIABLES.items() if each.is_address}
CREDENTIALS = {name: each.section for name, each in VARIABLES.items() if each.is_header}
WRONG = [
    "not a url",
    "http://[::1",
    "http://[:::::::::::]:1",
    "http://x y/",
    "http://host:port",
    "http://host:0",
    "http://host:65536",
    "http://",
    "http:///path",
    "ftp://host",
    "http://host/?query",
    "http://user:secret@host",
    "http://host\nX-Header: yes",
]
RIGHT = {
    "https://vault.example": "https://vault.example",
    "http://auth_service:8080/": "http://auth_service:8080",
    "http://[::1]:8200": "http://[::1]:8200",
    "https://github.example/api/v3": "https://github.example/api/v3",
}


@pytest.mark.parametrize("variable", ADDRESSES)
@pytest.mark.parametrize("value", WRONG)
def test_what_is_no_address_is_said_with_setting_and_remedy(variable: str, value: str) -> None:
    section = ADDRESSES[variable].section
    sections = Sections({}, {variable: value})
    with pytest.raises(UnusableSetting, match=f"setting {section.section}.") as caught:
        sections.get(section)
    assert "https://" in caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("variable", ADDRESSES)
@pytest.mark.parametrize("value", RIGHT)
def test_addresses_that_clients_can_send_to(variable: str, value: str) -> None:
    address = ADDRESSES[variable]
    found = getattr(Sections({}, {variable: value}).get(address.section), address.field)
    assert found == RIGHT[value]
    assert httpx.URL(found).host


@pytest.mark.parametrize("variable", ADDRESSES)
def test_a_mere_host_is_enough_where_the_page_says_so(variable: str) -> None:
    address = ADDRESSES[variable]
    sections = load_sections(None, {variable: "host.example:9000"})
    if "scheme" in address.description:
        assert getattr(sections.get(address.section), address.field) == "https://host.example:9000"
    else:
        with pytest.raises(UnusableSetting):
            sections.get(address.section)


def test_a_typing_mistake_is_said_before_an_address_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown setting litellm\.model") as caught:
        Sections({"litellm": {"url": "not a url", "model": "x"}}, {}).get(LiteLLMSettings)
    assert not isinstance(caught.value, UnusableSetting)


@pytest.mark.parametrize("variable", CREDENTIALS)
def test_a_credential_with_a_line_break_is_that_systems_trouble(variable: str) -> None:
    sections = load_sections(None, {variable: "canary\nsecret"})
    wrong = CREDENTIALS[variable]
    with pytest.raises(UnusableSetting, match="one line") as caught:
        sections.get(wrong)
    assert "canary" not in str(caught.value)
    for kind in {*CREDENTIALS.values()} - {wrong}:
        sections.get(kind)


def test_a_secrets_file_that_is_empty_is_no_system_that_is_off(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("\n")
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL_FILE.*empty"):
        Sections({}, {"DATABASE_URL_FILE": str(tmp_path / "url")}).get(PostgresSettings)
