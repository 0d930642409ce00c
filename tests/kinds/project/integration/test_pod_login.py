"""How a login gets into a pod, stays fresh, and what becomes of it when the auth-service fails.

The auth-service is the sandbox's emulator, the rest is real (tests/kinds/project/support/pod.py).
"""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.kinds.project.support.pod import Pod, pod
from tests.kinds.project.support.pod_service import LOGIN, Service, auth_service_for_pods
from tests.support.servers import free_port


def files(pod: Pod) -> dict[str, Any]:
    return {name: json.loads((pod.claude / name).read_text()) for name in ("settings.json", ".claude.json")}


def says(pod: Pod, text: str) -> bool:
    """Tell whether that is how the login stands."""
    return text in (pod.run / "login").read_text()


def left_over(pod: Pod) -> list[str]:
    """Return what was written in passing: files to be, and answers."""
    return [str(path) for path in (*pod.claude.rglob("new.*"), *pod.run.glob("credentials.*"))]


def test_a_login_is_there_before_the_pod_is_ready(environment_pod: Pod, auth: Service) -> None:
    auth.know_project(settingsJson='{"cloudflareDomain": "w.example.com"}')
    auth.push("canary-access", accountUuid="u-1")
    environment_pod.start()
    environment_pod.wait_ready()
    assert environment_pod.login() == {**LOGIN, "accountUuid": "u-1"}
    for path in environment_pod.claude.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert files(environment_pod)["settings.json"] == {"cloudflareDomain": "w.example.com"}
    assert files(environment_pod)[".claude.json"]["hasCompletedOnboarding"] is True
    assert environment_pod.end() == 0
    assert left_over(environment_pod) == []


def test_a_project_that_nobody_logged_in_is_ready_and_waits(environment_pod: Pod, auth: Service) -> None:
    environment_pod.start()
    environment_pod.wait_ready()
    assert environment_pod.login() is None
    assert says(environment_pod, "not logged in")
    auth.push("canary-first")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-first"))
    auth.push("canary-second")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-second"))
    environment_pod.wait_for(lambda: says(environment_pod, "logged in with"))
    assert environment_pod.log.count("not logged in") == 1


def test_what_the_command_line_wrote_itself_stays(environment_pod: Pod, auth: Service) -> None:
    servers = {"docs": {"accessToken": "theirs"}}
    (environment_pod.claude / ".credentials.json").write_text(json.dumps({"mcpOAuth": servers}))
    (environment_pod.claude / ".claude.json").write_text('{"projects": {"/w": 1}, "theme": "light"}')
    auth.know_project(settingsJson='{"old": 1, "kept": 1}')
    auth.push("canary-pushed")
    environment_pod.start()
    environment_pod.wait_ready()
    assert files(environment_pod)[".claude.json"]["projects"] == {"/w": 1}
    # The command line renews its tokens, a person changes a setting; then one of the project changes.
    login = json.loads((environment_pod.claude / ".credentials.json").read_text())
    assert login["mcpOAuth"] == servers
    login["claudeAiOauth"]["accessToken"] = "canary-renewed"
    (environment_pod.claude / ".credentials.json").write_text(json.dumps(login))
    settings = {**files(environment_pod)["settings.json"], "theirs": 1}
    (environment_pod.claude / "settings.json").write_text(json.dumps(settings))
    auth.know_project(settingsJson='{"kept": 2}')
    environment_pod.wait_for(lambda: files(environment_pod)["settings.json"] == {"kept": 2, "theirs": 1})
    assert environment_pod.has_login("canary-renewed")
    environment_pod.in_next_cycles(auth)
    assert environment_pod.end() == 0
    # The next one finds all as it was, and writes nothing.
    before = {path: path.stat().st_mtime_ns for path in environment_pod.claude.iterdir() if path.is_file()}
    environment_pod.start()
    environment_pod.wait_ready()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    auth.push("canary-newer")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-newer"))


def test_a_login_that_was_lost_is_fetched_again(environment_pod: Pod, auth: Service) -> None:
    auth.push("canary-access")
    environment_pod.start()
    environment_pod.wait_ready()
    for damage in ("", "{", "{}", '{"claudeAiOauth": {"accessToken": ""}}', "{}{}"):
        (environment_pod.claude / ".credentials.json").write_text(damage)
        environment_pod.in_next_cycles(auth)
        assert environment_pod.has_login("canary-access"), damage


def test_settings_that_cannot_be_merged_are_left_alone(environment_pod: Pod, auth: Service) -> None:
    auth.push("canary-access")
    environment_pod.start()
    environment_pod.wait_ready()
    for number, theirs in enumerate(("[]", "{ not JSON", '"text"', "{}{}")):
        (environment_pod.claude / "settings.json").write_text(theirs)
        auth.know_project(settingsJson=json.dumps({"number": number}))
        environment_pod.wait_said("settings.json is left as it is", number + 1)
        assert (environment_pod.claude / "settings.json").read_text() == theirs
    (environment_pod.claude / "settings.json").unlink()
    auth.know_project(settingsJson="no JSON")
    environment_pod.wait_said("settings.json is left as it is", 5)
    assert environment_pod.has_login("canary-access")
    auth.know_project(settingsJson='{"number": 7}')
    environment_pod.wait_for((environment_pod.claude / "settings.json").exists)
    assert files(environment_pod)["settings.json"] == {"number": 7}


def test_the_auth_service_may_come_later_and_go_again(feature: Path, tmp_path: Path) -> None:
    port = free_port()
    with pod(feature, tmp_path / "pod", f"http://127.0.0.1:{port}") as made:
        with auth_service_for_pods() as other:
            made.token_file.write_text(other.token())
        made.start()
        made.wait_ready()
        assert "the auth-service does not answer: nothing listens at its address" in made.log
        with auth_service_for_pods(port) as auth:
            made.token_file.write_text(auth.token())
            auth.push("canary-access")
            made.wait_for(lambda: made.has_login("canary-access"))
        made.wait_said("nothing listens at its address", times=2)
        assert made.has_login("canary-access")
        assert made.end() == 0


def test_a_wrong_token_gets_nothing_and_a_right_one_helps(environment_pod: Pod, auth: Service) -> None:
    auth.push("canary-access")
    wrong = {
        auth.token(project="acme-gears"): "refuses this pod's token (HTTP 403)",
        auth.token(seconds=-60): "refuses this pod's token (HTTP 401)",
        "canary two\nlines": "token cannot be read",
        'canary"\nurl = "http://127.0.0.1:9': "token cannot be read",
    }
    environment_pod.token_file.unlink()
    environment_pod.start()
    environment_pod.wait_ready()
    assert "token cannot be read" in environment_pod.log
    for token, said in wrong.items():
        environment_pod.token_file.write_text(token)
        environment_pod.wait_for(partial(says, environment_pod, said))
    assert list(environment_pod.claude.iterdir()) == []
    environment_pod.token_file.write_text(auth.token())
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-access"))
    assert not any(word in environment_pod.log for word in ("canary", "eyJ"))


def bundle(content: bytes, name: str = ".claude/.credentials.json", kind: bytes = tarfile.REGTYPE) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = "/etc/passwd"
        member.size = len(content) if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def login(**fields: Any) -> bytes:
    return json.dumps({"claudeAiOauth": {"accessToken": "canary-bad", "expiresAt": 4e12, **fields}}).encode()


PROVISIONED = b'{"status": "provisioned", "bundleId": "b-1"}'
NONSENSE = "gave an answer that makes no sense"
NO_LOGIN = "holds no usable login"
GARBAGE: dict[str, tuple[tuple[int, bytes], tuple[int, bytes], str]] = {
    "no JSON": ((200, b"<html>canary</html>"), (404, b""), NONSENSE),
    "nothing": ((200, b""), (404, b""), NONSENSE),
    "a list": ((200, b'["canary"]'), (404, b""), NONSENSE),
    "unknown status": ((200, b'{"status": "canary"}'), (404, b""), NONSENSE),
    "no bundle": ((200, b'{"status": "provisioned"}'), (404, b""), "answers with HTTP 404"),
    "traversal": ((200, b'{"status":"provisioned","bundleId":"../../x"}'), (200, b""), NONSENSE),
    "error": ((500, b"canary"), (404, b""), "answers with HTTP 500"),
    "moved": ((302, b"canary"), (404, b""), "answers with HTTP 302"),
    "huge": ((200, b"canary" * 1_000_000), (404, b""), "its answer is far too large"),
    "bundle lost": ((200, PROVISIONED), (404, b"{}"), "answers with HTTP 404"),
    "no archive": ((200, PROVISIONED), (200, b"canary"), NO_LOGIN),
    "cut archive": ((200, PROVISIONED), (200, bundle(login())[:-40]), NO_LOGIN),
    "other files": ((200, PROVISIONED), (200, bundle(login(), ".claude/other")), NO_LOGIN),
    "a link": ((200, PROVISIONED), (200, bundle(b"", kind=tarfile.SYMTYPE)), NO_LOGIN),
    "cut JSON": ((200, PROVISIONED), (200, bundle(login()[:-5])), NO_LOGIN),
    "two documents": ((200, PROVISIONED), (200, bundle(login() * 2)), NO_LOGIN),
    "no token": ((200, PROVISIONED), (200, bundle(login(accessToken=""))), NO_LOGIN),
    "token no text": ((200, PROVISIONED), (200, bundle(login(accessToken=["canary"]))), NO_LOGIN),
    "time as text": ((200, PROVISIONED), (200, bundle(login(expiresAt="2099-01-01"))), NO_LOGIN),
    "bomb": ((200, PROVISIONED), (200, bundle(b" " * 50_000_000 + login())), NO_LOGIN),
}


def test_garbage_changes_nothing_and_is_named(environment_pod: Pod, auth: Service) -> None:
    auth.push("canary-access")
    environment_pod.start()
    environment_pod.wait_ready()
    whole = {path: path.read_bytes() for path in environment_pod.claude.rglob("*") if path.is_file()}
    for case, (asked, fetched, said) in GARBAGE.items():
        auth.answers = {"/provision/": fetched, "/provision": asked}
        environment_pod.in_next_cycles(auth)
        assert says(environment_pod, said), case
        found = {path: path.read_bytes() for path in environment_pod.claude.rglob("*") if path.is_file()}
        assert found == whole, case
    auth.answers = {}
    assert "canary" not in environment_pod.log
    auth.push("canary-good")
    environment_pod.wait_for(lambda: environment_pod.has_login("canary-good"))


def test_units_and_scopes_are_made_right(environment_pod: Pod, auth: Service) -> None:
    auth.answers = {
        "/provision/": (200, bundle(login(expiresAt=4e9 + 0.5, scopes="user:inference", refreshToken=None))),
        "/provision": (200, PROVISIONED),
    }
    environment_pod.start()
    environment_pod.wait_ready()
    assert environment_pod.login() == {
        "accessToken": "canary-bad",
        "expiresAt": 4_000_000_000_500,
        "scopes": ["user:inference"],
    }
    auth.answers["/provision/"] = (200, bundle(login(scopes=["user:inference", "user:profile"])))
    environment_pod.wait_for(
        lambda: (environment_pod.login() or {})["scopes"] == ["user:inference", "user:profile"]
    )
