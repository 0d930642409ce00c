"""The issuer emulator, step by step as RFC 8628 has them, and our client's view of strange issuers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reconciler.clients.oauth_issuer import Granted, OAuthIssuer, OAuthIssuerWriter, OAuthSettings, Poll
from reconciler.model.errors import (
    ConfigurationError,
    Denied,
    NotConfigured,
    Rejected,
    SystemFault,
    Unavailable,
)
from reconciler.sandbox.emulators.oauth_issuer.app import create_app
from reconciler.sandbox.emulators.store import Store
from reconciler.settings.giving import Reading, Sections
from tests.support.serve import serve

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Issuer:
    """A running emulator whose clock stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = NOW.timestamp()
        self.url = ""
        self.app: Any = Starlette()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def ask(self) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/device_authorization", data={"client_id": "mesh-six-sandbox"})
        assert answer.status_code == 200
        return dict(answer.json())

    def poll(self, code: str, *, after: float = 6) -> httpx.Response:
        self.seconds += after
        form = {"client_id": "mesh-six-sandbox", "grant_type": GRANT, "device_code": code}
        return httpx.post(f"{self.url}/token", data=form)

    def refresh(self, token: str) -> httpx.Response:
        form = {"client_id": "mesh-six-sandbox", "grant_type": "refresh_token", "refresh_token": token}
        return httpx.post(f"{self.url}/token", data=form)

    def client(self, **settings: Any) -> OAuthIssuerWriter:
        values = {"flow": "device", "issuer": self.url, "clientId": "mesh-six-sandbox", **settings}
        return OAuthIssuerWriter.connect(Sections({"oauth": values}, {}))


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with serve(made) as url:
        made.url = url
        made.app = create_app(Store(), base_url=url, clock=lambda: made.seconds)
        yield made


def test_a_code_is_pending_then_redeemed_once(issuer: Issuer) -> None:
    asked = issuer.ask()
    answer = issuer.poll(asked["device_code"])
    assert (answer.status_code, answer.json()) == (400, {"error": "authorization_pending"})
    page = httpx.post(
        asked["verification_uri"], data={"user_code": asked["user_code"].lower(), "decision": "approve"}
    )
    assert "Done" in page.text
    granted = issuer.poll(asked["device_code"])
    assert granted.status_code == 200
    assert granted.headers["cache-control"] == "no-store"
    assert granted.json().keys() >= {"access_token", "refresh_token", "expires_in", "token_type"}
    assert issuer.poll(asked["device_code"]).json() == {"error": "invalid_grant"}


def test_polling_too_fast_raises_the_interval_for_good(issuer: Issuer) -> None:
    code = issuer.ask()["device_code"]
    errors = [issuer.poll(code, after=after).json()["error"] for after in (5, 4, 9, 15, 14)]
    assert errors == ["authorization_pending", "slow_down", "slow_down", "authorization_pending", "slow_down"]


def test_denied_expired_and_unknown_codes(issuer: Issuer) -> None:
    denied, expired = issuer.ask(), issuer.ask()
    httpx.post(f"{issuer.url}/_emulator/requests/{denied['user_code']}/deny")
    assert issuer.poll(denied["device_code"]).json() == {"error": "access_denied"}
    assert issuer.poll(expired["device_code"], after=900).json() == {"error": "expired_token"}
    assert issuer.poll("unknown").json() == {"error": "invalid_grant"}


def test_refresh_tokens_rotate(issuer: Issuer) -> None:
    asked = issuer.ask()
    httpx.post(f"{issuer.url}/_emulator/requests/{asked['user_code']}/approve")
    first = issuer.poll(asked["device_code"]).json()["refresh_token"]
    second = issuer.refresh(first).json()["refresh_token"]
    assert second != first
    assert issuer.refresh(first).json() == {"error": "invalid_grant"}
    assert issuer.refresh(second).status_code == 200


def test_the_page_says_when_nothing_waits_and_quotes_nothing_raw(issuer: Issuer) -> None:
    page = httpx.get(f"{issuer.url}/device", params={"user_code": '"><script>'})
    assert "<script>" not in page.text
    wrong = httpx.post(f"{issuer.url}/device", data={"user_code": "XXXX-XXXX", "decision": "approve"})
    assert "No device is waiting" in wrong.text


def test_codes_survive_a_restart() -> None:
    store = Store()
    made = Issuer()
    with serve(made) as made.url:
        made.app = create_app(store, base_url=made.url, clock=lambda: made.seconds)
        code = made.ask()["device_code"]
        made.app = create_app(store, base_url=made.url, clock=lambda: made.seconds)
        assert made.poll(code).json() == {"error": "authorization_pending"}


def test_the_client_goes_step_by_step(issuer: Issuer) -> None:
    client = issuer.client()
    asked = client.start(NOW)
    assert asked.expires_at == NOW + timedelta(seconds=900)
    assert asked.interval == 5
    assert asked.device_code.get_secret_value() not in repr(asked)
    assert client.poll(asked.device_code, NOW) is Poll.PENDING
    assert client.poll(asked.device_code, NOW) is Poll.SLOW_DOWN
    httpx.post(f"{issuer.url}/_emulator/requests/{asked.user_code}/approve")
    issuer.seconds += 60
    granted = client.poll(asked.device_code, NOW)
    assert isinstance(granted, Granted)
    assert granted.access_token.get_secret_value() not in repr(granted)
    assert client.poll(asked.device_code, NOW) is Poll.SPENT
    client.close()


def test_an_unknown_client_is_denied(issuer: Issuer) -> None:
    client = issuer.client(clientId="somebody")
    with pytest.raises(Denied, match=r"oauth\.clientId"):
        client.start(NOW)
    client.close()


def strange(token: Response, authorization: Response | None = None) -> Any:
    """Return an issuer that always answers this."""

    async def discovery(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {"device_authorization_endpoint": f"{base}/device", "token_endpoint": f"{base}/token"}
        )

    async def answer_token(request: Request) -> Response:
        return token

    async def answer_device(request: Request) -> Response:
        return authorization or token

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/device", answer_device, methods=["POST"]),
            Route("/token", answer_token, methods=["POST"]),
        ]
    )


def client_of(url: str) -> OAuthIssuerWriter:
    return OAuthIssuerWriter.connect(
        Sections({"oauth": {"flow": "device", "issuer": url + "/", "clientId": "us"}}, {})
    )


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429])
def test_the_code_counts_and_not_the_status(status: int) -> None:
    with serve(strange(JSONResponse({"error": "authorization_pending"}, status))) as url:
        client = client_of(url)
        assert client.poll(SecretStr("x"), NOW) is Poll.PENDING
        client.close()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (JSONResponse({"error": "server_error"}, 503), Unavailable),
        (JSONResponse({}, 200), Rejected),
        (JSONResponse([], 200), Rejected),
        (PlainTextResponse("canary", 200), Rejected),
        (JSONResponse({"access_token": 7}, 200), Rejected),
        (JSONResponse({"error": "something_new canary"}, 400), Rejected),
        (JSONResponse({"error": "invalid_scope"}, 400), Rejected),
        (JSONResponse({"error": "unauthorized_client"}, 400), Denied),
    ],
)
def test_answers_without_sense_are_faults_without_content(answer: Response, fault: type[SystemFault]) -> None:
    with serve(strange(answer)) as url:
        client = client_of(url)
        with pytest.raises(fault) as caught:
            client.poll(SecretStr("canary-code"), NOW)
        assert "canary" not in str(caught.value)
        client.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://x/a b"},
        {"user_code": ""},
        {"user_code": "a\nb"},
        {"expires_in": 0},
        {"interval": -1},
        {"device_code": ""},
    ],
)
def test_a_request_that_nobody_could_use_is_refused(wrong: dict[str, Any]) -> None:
    good = {"device_code": "d", "user_code": "U", "verification_uri": "https://x.example", "expires_in": 60}
    with serve(strange(JSONResponse({}), JSONResponse({**good, **wrong}))) as url:
        client = client_of(url)
        with pytest.raises(Rejected):
            client.start(NOW)
        client.close()


def test_optional_members_have_their_defaults() -> None:
    good = {"device_code": "d", "user_code": "U", "verification_uri": "https://x.example", "expires_in": 60}
    with serve(strange(JSONResponse({"access_token": "t"}), JSONResponse(good))) as url:
        client = client_of(url)
        assert client.start(NOW).interval == 5
        granted = client.poll(SecretStr("d"), NOW)
        assert isinstance(granted, Granted)
        assert granted.refresh_token is None
        assert granted.expires_at == NOW + timedelta(hours=1)
        client.close()


def test_what_is_not_set_up_is_said(issuer: Issuer) -> None:
    with pytest.raises(NotConfigured, match="OAUTH_ISSUER"):
        Reading(Sections({}, {})).get(OAuthIssuer)
    for values in ({"flow": "device"}, {"issuer": issuer.url}, {"issuer": "login.example", "clientId": "us"}):
        with pytest.raises(ConfigurationError):
            OAuthSettings.load(values, {}).check()
