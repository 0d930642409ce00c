"""The shipped alerts, tried by Prometheus' own promtool: silent while all is well, each for its reason."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from ruamel.yaml import YAML

from reconciler.engine import metrics
from reconciler.kinds.project.spec import KIND
from reconciler.model.outcome import Status
from tests.kinds.project.support.deployed import DEPLOY, ROOT, load
from tests.support.debian import debian_program

LAST = "reconciler_last_pass_timestamp_seconds"
PROBLEMS = "reconciler_problems"
FAILED_PROJECTS = 'reconciler_items{kind="project",status="failed"}'
FAILED_OTHERS = 'reconciler_items{kind="other",status="failed"}'
UNREAD = 'reconciler_resources{kind="project",resource="webhook",state="unknown"}'
VERIFIED = 'reconciler_oldest_verification_timestamp_seconds{kind="project",resource="webhook"}'
# One value a minute, and promtool's clock begins at 0.
WELL = {
    LAST: "0+60x3000",
    PROBLEMS: "0x3000",
    UNREAD: "0x3000",
    FAILED_PROJECTS: "0x3000",
    FAILED_OTHERS: "0x3000",
    VERIFIED: "0+60x3000",
}
BEFORE_ANY_PASS = -1_800_000_000
"""What a time of 0 looks like to a clock of today."""

Pod = dict[str, str]
Expect = Callable[[list[Pod], dict[int, set[str]]], None]


@pytest.fixture(scope="module")
def promtool() -> Path:
    return debian_program("promtool", package="prometheus", alone=True)


@pytest.fixture(scope="module")
def rules() -> dict[str, Any]:
    (rule,) = load((DEPLOY / "components" / "service-monitor" / "prometheus-rule.yaml").read_text())
    spec: dict[str, Any] = rule["spec"]
    return spec


@pytest.fixture
def expect(promtool: Path, rules: dict[str, Any], tmp_path: Path) -> Expect:
    """Check that with what the pods say, exactly these alerts fire at each of these minutes."""

    def check(pods: list[Pod], firing: dict[int, set[str]]) -> None:
        write(tmp_path / "rules.yaml", rules)
        series = [
            {"series": labelled(name, pod), "values": values}
            for pod, said in enumerate(pods)
            for name, values in said.items()
        ]
        asked = [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
            }
            for minute, names in firing.items()
        ]
        test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
        file = tmp_path / "test.yaml"
        write(file, {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
        run(promtool, "test", "rules", file)

    return check


def labelled(name: str, pod: int) -> str:
    metric, _, labels = name.rstrip("}").partition("{")
    common = f'namespace="mesh-six", job="onboarding-service", pod="{pod}"'
    return f"{metric}{{{', '.join(part for part in (common, labels) if part)}}}"


def write(path: Path, document: dict[str, Any]) -> None:
    YAML(typ="safe").dump(document, path)


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_a_valid_file_of_rules(promtool: Path, rules: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "rules.yaml", rules)
    run(promtool, "check", "rules", tmp_path / "rules.yaml")


def test_every_metric_is_tried_and_every_alert_explained(rules: dict[str, Any]) -> None:
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    named = {name for rule in alerts for name in re.findall(r"reconciler_\w+", rule["expr"])}
    assert named == {name.split("{")[0] for name in WELL}
    assert metrics.__name__  # whose import brings them to the registry
    assert named <= {metric.name for metric in REGISTRY.collect()}
    assert f'reconciler_items{{kind="{KIND}",status="{Status.FAILED}"}}' == FAILED_PROJECTS
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert re.findall(r"^\| (Onboarding\w+) \|", page, re.MULTILINE) == [rule["alert"] for rule in alerts]
    assert all({"summary", "description"} == set(rule["annotations"]) for rule in alerts)
    assert {rule["labels"]["severity"] for rule in alerts} == {"critical", "warning"}


@pytest.mark.parametrize("pods", [1, 2])
def test_nothing_fires_while_all_is_well(expect: Expect, pods: int) -> None:
    expect([WELL] * pods, {minute: set() for minute in (0, 20, 200, 2999)})


CASES: dict[str, tuple[Pod, dict[int, set[str]]]] = {
    "passes fail, or one hangs": (
        {LAST: "0+60x60 3600x200"},
        {85: set(), 95: {"OnboardingNoPass"}},
    ),
    "the first pass of a new pod takes a while": (
        {LAST: f"{BEFORE_ANY_PASS}x10 600+60x200"},
        {9: set(), 20: set(), 40: set()},
    ),
    "no pass of a new pod runs to its end": (
        {LAST: f"{BEFORE_ANY_PASS}x100"},
        {10: set(), 20: {"OnboardingNoPass"}},
    ),
    "a push is refused": (
        {PROBLEMS: "0x60 1x200"},
        {85: set(), 95: {"OnboardingProblems"}},
    ),
    "a problem goes away": (
        {PROBLEMS: "0x60 1x20 0x200"},
        {75: set(), 95: set(), 150: set()},
    ),
    "a system takes our credentials no longer": (
        {UNREAD: "0x60 7x200"},
        {85: set(), 95: {"OnboardingUnread"}},
    ),
    "a system was down for a while": (
        {UNREAD: "0x60 7x20 0x200"},
        {75: set(), 95: set(), 150: set()},
    ),
    "two projects failed": (
        {FAILED_PROJECTS: "0x60 2x200"},
        {115: set(), 125: {"OnboardingItemsFailed"}},
    ),
    "one of another kind failed": (
        {FAILED_OTHERS: "0x60 1x200"},
        {115: set(), 125: {"OnboardingItemsFailed"}},
    ),
    "one failed and was mended, then one of another kind": (
        {FAILED_PROJECTS: "0x60 1x40 0x200", FAILED_OTHERS: "0x100 1x200"},
        {115: set(), 155: set(), 170: {"OnboardingItemsFailed"}},
    ),
    "a webhook is not verified": (
        {VERIFIED: "1x3000"},
        {2900: set(), 2945: {"OnboardingVerificationOld"}},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_an_alert_is_for(expect: Expect, case: str) -> None:
    said, firing = CASES[case]
    expect([{**WELL, **said}], firing)


def test_one_pod_of_two_is_enough_for_passes_and_for_problems(expect: Expect) -> None:
    hangs, refused = {**WELL, LAST: "0x200"}, {**WELL, PROBLEMS: "1x200"}
    expect([WELL, hangs], {60: set(), 150: set()})
    expect([WELL, refused], {150: {"OnboardingProblems"}})


def test_nothing_heard_is_an_alert_too(expect: Expect) -> None:
    gone = {name: f"{values.split('x')[0]}x60" for name, values in WELL.items()}
    expect([gone], {60: set(), 70: set(), 85: {"OnboardingServiceAbsent"}})
    expect([], {10: set(), 20: {"OnboardingServiceAbsent"}})
