"""`reconcile validate` as CI runs it: the real program, on files anywhere."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

PROGRAM = Path(sys.executable).with_name("reconcile")
TWO = "repoOwner: acme\nrepoName: widgets\n"
CASES: dict[str, Any] = YAML(typ="safe").load(Path(__file__).parents[1] / "bad-files" / "fields.yaml")
A_GIGABYTE = 2**30


def validate(*files: Path | str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run it without any configuration, in bounded memory and time."""
    return subprocess.run(
        [PROGRAM, "validate", *files],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (A_GIGABYTE, A_GIGABYTE)),
    )


@pytest.fixture
def bad_files(tmp_path: Path) -> list[Path]:
    """One of each kind of bad file, in a folder of their own."""
    folder = tmp_path / "bad"
    folder.mkdir()
    for number, (name, case) in enumerate(CASES.items()):
        text = (TWO if case.get("two") else "") + case["text"]
        (folder / f"{name} {number}.yaml").write_text(text, encoding="utf-8")
    (folder / "empty.yaml").touch()
    (folder / "not-utf-8.yaml").write_bytes(TWO.encode() + b"displayName: caf\xe9\n")
    (folder / "utf-16.yaml").write_bytes(TWO.encode("utf-16"))
    (folder / "megabytes.yaml").write_bytes(TWO.encode() + b"#" * 10 * 2**20)
    (folder / "billion-laughs.yaml").write_text(
        "a: &a [x]\n"
        + "".join(f"{b}: &{b} [{f'*{a},' * 9}]\n" for a, b in zip("abcdef", "bcdefg", strict=True))
    )
    (folder / "folder.yaml").mkdir()
    (folder / "link.yaml").symlink_to("/etc/passwd")
    (folder / "dangling.yaml").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.yaml")
    return [*sorted(folder.iterdir()), folder / "missing.yaml"]


@pytest.mark.parametrize("relative", [False, True])
def test_every_bad_file_is_named_in_every_line_and_none_hides_another(
    bad_files: list[Path], relative: bool, tmp_path: Path
) -> None:
    names = [os.path.relpath(path, tmp_path) if relative else path for path in bad_files]
    done = validate(*names, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    for path in bad_files:
        assert any(path.name in line for line in lines), path
    for line in lines:
        assert line.startswith("error: ")
        assert any(path.name in line for path in bad_files)
        assert line.endswith(")")
    assert "has 10485794 bytes" in done.stderr
    assert "is a directory" in done.stderr
    assert "is a link" in done.stderr
    assert "is a special file" in done.stderr


def test_a_file_named_twice_is_one_file_and_two_that_clash_are_both_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TWO)
    assert validate("a.yaml", tmp_path / "a.yaml", "./a.yaml", cwd=tmp_path).returncode == 0
    (tmp_path / "b.yml").write_text(
        TWO.upper().replace("REPOOWNER", "repoOwner").replace("REPONAME", "repoName")
    )
    done = validate("a.yaml", tmp_path / "b.yml", cwd=tmp_path)
    assert done.returncode == 2
    assert [line.split(" is also ")[0] for line in done.stderr.splitlines()] == [
        "error: a.yaml: repository acme/widgets",
        f"error: {tmp_path}/b.yml: repository acme/widgets",
    ]


def test_without_names_it_takes_all_of_projects(tmp_path: Path) -> None:
    assert validate(cwd=tmp_path).returncode == 2
    projects = tmp_path / "projects" / "team"
    projects.mkdir(parents=True)
    assert validate(cwd=tmp_path).stdout == "0 files valid\n"
    (projects / "a.yml").write_text(TWO)
    (projects / "README.md").write_text("no project")
    assert validate(cwd=tmp_path).stdout == "1 file valid\n"
    (projects / "b.YAML").write_text("repoName: x\n")
    done = validate(cwd=tmp_path)
    assert done.returncode == 2
    assert "projects/team/b.YAML: repoOwner is missing" in done.stderr


def test_the_name_of_a_file_cannot_give_orders_to_a_terminal(tmp_path: Path) -> None:
    name = "\x1b[2J\udcff.yaml"
    (tmp_path / name).touch()
    done = validate(name, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == r"error: \x1b[2J\udcff.yaml: is empty (write the fields it needs)"
