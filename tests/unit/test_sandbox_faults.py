"""When a fault strikes."""

from __future__ import annotations

from reconciler.sandbox.faults import Fault, Faults


def strikes(*rules: Fault, subjects: list[str], system: str = "github") -> list[str]:
    faults = Faults()
    for rule in rules:
        faults.add(rule)
    found = (faults.strike(system, subject) for subject in subjects)
    return [fault.kind if fault else "" for fault in found]


def test_it_strikes_its_system_and_its_match_only() -> None:
    rule = Fault("github", "500", "^POST /repos", times=9)
    assert strikes(rule, subjects=["GET /repos", "POST /repos/a", "POST /user"]) == ["", "500", ""]
    assert strikes(rule, subjects=["POST /repos/a"], system="vault") == [""]


def test_a_star_is_every_system() -> None:
    assert strikes(Fault("*", "reset"), subjects=["LIST /v1/a"], system="vault") == ["reset"]


def test_it_skips_then_strikes_so_often() -> None:
    rule = Fault("github", "502", skip=1, times=2)
    assert strikes(rule, subjects=["a"] * 5) == ["", "502", "502", "", ""]


def test_a_refusal_never_ends() -> None:
    assert strikes(Fault("github", "refuse"), subjects=["a"] * 5) == ["refuse"] * 5


def test_the_first_that_matches_strikes_and_the_next_keeps_its_turn() -> None:
    rules = (Fault("github", "500"), Fault("github", "429"))
    assert strikes(*rules, subjects=["a"] * 3) == ["500", "429", ""]
