"""What a quiet pass may cost. tests/unit/test_declared.py sees to it that no system is without a bound."""

from __future__ import annotations

OWNERS = 10
"""How many owners the bench's projects are spread over."""
BOUNDS = {
    "github": 45,
    "vault": 3,
    "postgres": 5,
    "litellm": 25,
    "argocd": 2,
    "s3": OWNERS,
    "auth-service": 0,
    "oauth-issuer": 0,
}
"""By system: the most requests of a quiet pass over 1,000 projects. S3 goes by owners, not by projects."""
AT_A_HUNDRED = {
    "github": 3,
    "vault": 3,
    "postgres": 5,
    "litellm": 2,
    "argocd": 2,
    "s3": OWNERS,
    "auth-service": 0,
    "oauth-issuer": 0,
}
"""By system: the very number of requests of a quiet pass over 100 projects, as counted by the tests."""
