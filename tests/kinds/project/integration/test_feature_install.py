"""The feature's install.sh, run for real.

As root, on a copy of this machine that is thrown away (an overlay in a mount namespace, and chroot): the real
apt-get and the real npm install the real packages. As anybody, for what goes wrong: stand-ins for apt-get,
npm, node and id on the PATH, which answer as the real ones do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kinds.project.support.pod import ROOT
from tests.kinds.project.support.pod_service import LOGIN

VERSION = "2.1.332"
ALONE = ["unshare", "--mount", "--propagation", "private"]

# What envbuilder's archive reader leaves of modes, and the only variables that it sets.
ON_A_COPY = r"""
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for folder in dev proc; do mount --rbind "/$folder" "$1/root/$folder"; done
mount -t tmpfs tmpfs "$1/root/tmp"
cp -r "$2" "$1/root/tmp/feature"
chmod 0644 "$1"/root/tmp/feature/share/*
for tool in gh jq; do rm -f "$1/root/usr/bin/$tool"; done
cd "$1/root"
set -- LOGIN="$4" CLAUDEVERSION="$3" _REMOTE_USER=vscode _CONTAINER_USER=vscode
exec chroot . /usr/bin/env -i PATH="$PATH" "$@" sh -euc '
  cd /tmp/feature
  ./install.sh
  echo "--- again"
  ./install.sh
  echo "--- there"
  gh --version | head -n 1
  jq --version
  claude --version
  cat /usr/local/share/mesh-six/version
  stat -c "%a %U %n" /usr/local/share/mesh-six/*
  env -i HOME=/root bash --login -c "echo login shell: \$MESH_SIX_TOOLS_VERSION; claude --version"
  export CLAUDE_CONFIG_DIR=/tmp/claude MESH_SIX_WORKTREES=/tmp
  mkdir /tmp/claude
  echo "$LOGIN" >/tmp/claude/.credentials.json
  unshare --net claude auth status
  jq "del(.claudeAiOauth.scopes)" /tmp/claude/.credentials.json >/tmp/bare
  mv /tmp/bare /tmp/claude/.credentials.json
  unshare --net claude auth status || true
  /usr/local/share/mesh-six/entrypoint.sh || echo "exit $?"
'
"""


def test_the_real_packages_are_installed_and_a_second_time_is_nothing(feature: Path, tmp_path: Path) -> None:
    if os.geteuid() or subprocess.run([*ALONE, "mount", "-t", "tmpfs", "x", "/mnt"], check=False).returncode:
        pytest.skip("only root, and where it may mount, can have a copy of the machine")
    jq = shutil.which("jq")
    if jq and Path(jq) != Path("/usr/bin/jq"):
        pytest.skip("this machine's jq is none of its distribution")
    login = json.dumps({"claudeAiOauth": LOGIN})
    command = [*ALONE, "sh", "-euc", ON_A_COPY, "sh", str(tmp_path), str(feature), VERSION, login]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    first, again, there = done.stdout.replace("--- there", "--- again").split("--- again\n")
    assert "mesh-six-tools: installing" in first
    assert again.splitlines() == [
        f"mesh-six-tools: Claude CLI {VERSION} and /usr/local/share/mesh-six/entrypoint.sh are installed"
    ]
    assert "gh version " in there
    assert "jq-" in there
    assert there.count(f"{VERSION} (Claude Code)") == 2
    assert f"\nlogin shell: {VERSION}\n" in there
    assert "755 root /usr/local/share/mesh-six/entrypoint.sh" in there
    # The login as a pod writes it is one, and would be none as the auth-service hands it out.
    assert re.findall(r'"loggedIn": (\w+)', there) == ["true", "false"]
    # It runs as installed: here it only misses a variable.
    assert "there is no variable MESH_SIX_PROJECT" in there
    assert there.endswith("exit 2\n")


STAND_INS = {
    "id": "echo 0",
    "node": "echo v22.0.0",
    # As the real one: no packages without lists, all or nothing, and exit code 100.
    "apt-get": """
case $1 in
update) [ ! -e "$STATE/offline" ] || { echo 'W: Some index files failed to download.'; exit 100; }
  touch "$STATE/lists" ;;
install)
  shift
  [ -e "$STATE/lists" ] || { echo 'E: Unable to locate package' >&2; exit 100; }
  for name in "$@"; do
    case $name in
    -*) ;;
    gh) [ ! -e "$STATE/old" ] || { echo 'E: Unable to locate package gh' >&2; exit 100; } ;;
    esac
  done
  for name in "$@"; do
    case $name in -*) ;; *) echo "$name" >>"$STATE/installed"
      printf '#!/bin/sh\\n' >"$BIN/${name%-client}"; chmod +x "$BIN/${name%-client}" ;;
    esac
  done
  cp "$BIN/openssh" "$BIN/ssh" 2>/dev/null || true ;;
*) exit 1 ;;
esac""",
    "npm": """
[ "$1" = install ] || exit 0
for last in "$@"; do :; done
version=${last##*@}
[ "$version" != 9.9.9 ] || { echo 'npm error code ETARGET' >&2; exit 1; }
echo "$last" >>"$STATE/npm"
[ ! -e "$STATE/no-scripts" ] || exit 0
printf '#!/bin/sh\\necho "%s (Claude Code)"\\n' "$version" >"$BIN/claude"
chmod +x "$BIN/claude\"""",
}
NEEDED = (
    "sh", "dirname", "grep", "cut", "cat", "chmod", "cp", "printf", "touch", "install", "rm", "env", "flock",
)  # fmt: skip


@dataclass(frozen=True)
class Image:
    """An image to install into: a PATH with little on it, and a root of its own."""

    folder: Path
    feature: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def install(self, version: str = VERSION) -> tuple[int, str]:
        """Run install.sh, and return its exit code and what it said."""
        environment = {
            "PATH": str(self.bin),
            "BIN": str(self.bin),
            "STATE": str(self.state),
            "DESTDIR": str(self.root),
            "CLAUDEVERSION": version,
        }
        done = subprocess.run(
            ["/bin/sh", self.feature / "install.sh"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def installed(self) -> list[str]:
        """Return the Debian packages that were installed."""
        listed = self.state / "installed"
        return sorted(listed.read_text().split()) if listed.exists() else []

    @property
    def empty(self) -> bool:
        return not self.root.exists()


@pytest.fixture
def image(tmp_path: Path, feature: Path) -> Image:
    made = Image(tmp_path / "image", feature)
    made.bin.mkdir(parents=True)
    made.state.mkdir()
    for name in NEEDED:
        (made.bin / name).symlink_to(shutil.which(name) or name)
    for name, body in STAND_INS.items():
        (made.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (made.bin / name).chmod(0o755)
    return made


def test_what_is_missing_is_installed_and_the_rest_left_alone(image: Image) -> None:
    (image.bin / "git").touch(0o755)
    code, said = image.install()
    assert code == 0, said
    installed = image.installed()
    assert {"tmux", "gh", "curl", "jq", "openssh-client"} <= set(installed)
    assert "git" not in installed
    code, said = image.install()
    assert (code, image.installed()) == (0, installed)
    assert "installing" not in said
    assert (image.state / "npm").read_text() == f"@anthropic-ai/claude-code@{VERSION}\n"
    share = image.root / "usr" / "local" / "share" / "mesh-six"
    assert {path.name for path in share.iterdir()} == {
        "credentials.sh", "entrypoint.sh", "log.sh", "notes.sh", "port.mjs", "recovery.sh",
        "rescue.sh", "version",
    }  # fmt: skip
    assert stat.S_IMODE((share / "entrypoint.sh").stat().st_mode) == 0o755


def test_another_version_takes_the_place_of_the_one_before(image: Image) -> None:
    assert image.install("2.1.300")[0] == 0
    assert image.install("2.1.301-beta.1")[0] == 0
    assert (image.root / "usr/local/share/mesh-six/version").read_text() == "2.1.301-beta.1\n"


@pytest.mark.parametrize(
    "version", ["latest", "", "2", "2.1", "^2.1.0", "2.1.x", "stable", "2.1.3 || 3", "2.1.3;id"]
)
def test_a_version_that_may_be_another_tomorrow_is_refused(image: Image, version: str) -> None:
    code, said = image.install(version)
    assert code == 1
    assert f'option claudeVersion is "{version}", and must be an exact version' in said
    assert image.empty


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("apt-get", "only Debian, Ubuntu and images made from them are supported, and this is "),
        ("node", "there is no node, which the Claude CLI and the entrypoint need"),
        ("npm", "there is no npm, which the Claude CLI and the entrypoint need"),
    ],
)
def test_an_image_that_cannot_do_is_told_what_it_lacks(image: Image, missing: str, said: str) -> None:
    (image.bin / missing).unlink()
    code, found = image.install()
    assert code == 1
    assert said in found
    assert image.empty


def test_somebody_who_is_not_root_is_told_so(image: Image) -> None:
    (image.bin / "id").write_text("#!/bin/sh\necho 1000\n")
    code, said = image.install()
    assert (code, image.empty) == (1, True)
    assert "must be run as root" in said


@pytest.mark.parametrize(
    ("fault", "version", "said"),
    [
        ("old", VERSION, "gh is in Debian 12, Ubuntu 22.04 and newer"),
        ("offline", VERSION, "apt-get update failed"),
        ("no-scripts", VERSION, f"`claude --version` does not say {VERSION}"),
        ("none", "9.9.9", "npm could not install version 9.9.9"),
    ],
)
def test_what_an_installer_refuses_ends_the_build(image: Image, fault: str, version: str, said: str) -> None:
    (image.state / fault).touch()
    code, found = image.install(version)
    assert code == 1
    assert said in found
    assert image.empty


def test_the_folder_as_it_is_in_the_repository_is_no_feature_yet(image: Image) -> None:
    apart = Image(image.folder, ROOT / "devcontainer-features" / "mesh-six-tools")
    code, said = apart.install()
    assert code == 1
    assert "has to be put together with: make feature" in said
