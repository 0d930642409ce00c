"""A quiet pass costs requests by system and not by project: counted here, timed by `make bench-requests`."""

from __future__ import annotations

from bench.bounds import AT_A_HUNDRED
from bench.project.requests import prove, quiet_requests
from bench.project.settled import build
from reconciler.sandbox.supervisor import Sandbox


def test_a_quiet_pass_over_a_hundred_projects(clean_sandbox: Sandbox) -> None:
    build(clean_sandbox, 100)
    proof = prove(clean_sandbox, 100)
    assert proof.quiet, f"bench/project/settled.py does not copy all that a project has: {proof}"
    counted, writes = quiet_requests(clean_sandbox)
    assert writes == 0
    assert {system: counted[system] for system in AT_A_HUNDRED} == AT_A_HUNDRED, "see bench/bounds.py"
    assert counted.keys() <= AT_A_HUNDRED.keys()
