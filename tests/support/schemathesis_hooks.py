"""What Schemathesis loads: callers' tokens, and deliveries signed as GitHub signs them."""

from __future__ import annotations

import hashlib
import hmac
import os

import requests
from requests.auth import AuthBase
from schemathesis.auths import GLOBAL_AUTH_STORAGE

WEBHOOK = "/webhooks/github"


class Token(AuthBase):
    """Sends the token that may do everything."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {os.environ['API_TOKEN']}"
        return request


class Signature(AuthBase):
    """Signs the very bytes that are sent."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        assert isinstance(body, bytes)
        made = hmac.new(os.environ["WEBHOOK_SECRET"].encode(), body, hashlib.sha256).hexdigest()
        request.headers["X-Hub-Signature-256"] = f"sha256={made}"
        return request


GLOBAL_AUTH_STORAGE.set_from_requests(Token()).skip_for(path=WEBHOOK)
GLOBAL_AUTH_STORAGE.set_from_requests(Signature()).apply_to(path=WEBHOOK)
