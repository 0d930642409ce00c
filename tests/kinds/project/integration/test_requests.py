"""A quiet pass costs requests by system and not by project: counted here, timed by `make bench-requests`."""

from __future__ import annotations

from bench.bounds import BOUNDS, OWNERS
from bench.project.requests import prove, quiet_requests
from bench.project.settled import build
from reconciler.sandbox.supervisor import Sandbox


def test_a_quiet_pass_over_a_hundred_projects(clean_sandbox: Sandbox) -> None:
    build(clean_sandbox, 100)
    proof = prove(clean_sandbox, 100)
    assert proof.quiet, proof
    counted, writes = quiet_requests(clean_sandbox)
    assert writes == 0
    assert {system: count for system, count in counted.items() if count > BOUNDS[system]} == {}
    assert counted == {"github": 3, "vault": 2, "postgres": 5, "litellm": 2, "argocd": 2, "s3": OWNERS}
