"""Fuzz: hostile files, entries and bodies, and systems whose answers are nearly right.

The jobs of `make fuzz` are done as they are. In those called `answers …` every call of a scenario gets the
system's own answer with one value changed, in many ways: no pass stumbles, nothing is deleted, and the next
clean ones converge. In `bodies` the service is sent what is no request of anybody's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from reconciler.sandbox.false_answers import Answer, spoiled
from tests.fuzz.figures import figures_of
from tests.fuzz.runs import runs
from tests.kinds.everyone import EVERYONE
from tests.prove.calls import ALWAYS, Call
from tests.prove.fault import AUDIT, MUTATED, Pair, strike_all
from tests.prove.figures import Figures
from tests.prove.ground import Ground, provable_kinds, scenarios
from tests.support.service import SCOPES, TOKENS, Running, service

SIZE, SHORT_SIZE = 1_000, 8
WAYS = 4
"""Changed answers of each call."""
MOST_OF_A_SHORT_RUN = 6
BODIES, SHORT_BODIES = 600, 40
_ANSWERS, _BODIES = "answers ", "bodies"


def jobs() -> list[str]:
    """Return the runs of `make fuzz`, and those with servers."""
    audits = [f"{kind.name}/{AUDIT}" for kind in provable_kinds()]
    return [*runs(), *(f"{_ANSWERS}{each}" for each in [*scenarios(), *audits]), _BODIES]


def run(job: str, ground: Ground) -> Figures:
    """Do one job."""
    if job == _BODIES:
        return _bodies(job, ground)
    if not job.startswith(_ANSWERS):
        return _hostile(job, ground)
    kind, _, name = job.removeprefix(_ANSWERS).partition("/")
    figures = Figures("fuzz", job, "answers")
    strike_all(ground, kind, name, figures, lambda calls: _pairs(calls, ground))
    return figures


def _pairs(calls: Sequence[Call], ground: Ground) -> list[Pair]:
    # PostgreSQL's answers are no JSON, and are not changed.
    pairs = [
        Pair(call, MUTATED, ALWAYS, ground.random.getrandbits(20))
        for call in calls
        if call.system != "postgres"
        for _ in range(WAYS)
    ]
    return ground.some(pairs, MOST_OF_A_SHORT_RUN)


def _hostile(job: str, ground: Ground) -> Figures:
    figures = Figures("fuzz", job, "inputs")
    size = SHORT_SIZE if ground.short else SIZE
    found = figures_of(job, runs()[job], str(ground.random.getrandbits(32)), size)
    figures.tried, figures.converged = found.tried, found.tried - found.found
    for defect in found.defects:
        figures.fall_short(defect.given, [("broken", defect.what)])
    return figures


def _bodies(job: str, ground: Ground) -> Figures:
    """Send the service bodies that are nearly right; it says what is wrong with each, and goes on."""
    figures = Figures("fuzz", job, "bodies")
    ground.sandbox.clear()
    with service(ground.sandbox, kinds=EVERYONE, repositories=False) as running:
        paths = sorted(
            (method.upper(), path)
            for path, methods in running.call("GET", "/openapi.json", by="reader").json()["paths"].items()
            for method in methods
            if method in {"post", "put", "patch"}
        )
        for number in range(SHORT_BODIES if ground.short else BODIES):
            method, path = paths[number % len(paths)]
            _send(running, method, path, number, ground.random, figures)
    return figures


def _send(running: Running, method: str, path: str, number: int, random: Random, figures: Figures) -> None:
    whole = json.dumps(
        {**TOKENS, "repoOwner": "acme", "repoName": "gears", "ref": "refs/heads/main", "x": [{"y": 1}]}
    )
    body = spoiled(MUTATED, Answer(200, [], whole.encode()), random.getrandbits(32)).body
    by = random.choice([*SCOPES, ""])
    headers = {
        "content-type": random.choice(["application/json", "text/plain", "application/json; charset=utf-7"])
    }
    name = random.choice(["acme-gears", "none", "..%2f..", "%00", "a" * 300])
    answer = running.call(method, path.replace("{slug}", name), by=by, content=body, headers=headers)
    figures.judge(
        f"{number}: {method} {path} with {body[:60]!r}",
        [("broken", f"answered {answer.status_code}")] if answer.status_code >= 500 else [],
    )
