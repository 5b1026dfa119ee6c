"""Children start as the programs they are to be, in a session of their own, and say why where they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crm_sync.supervisor import children, leash
from tests.servers import wait_for


def leashed(parent: int, *command: str) -> subprocess.CompletedProcess[str]:
    """What becomes of a program on the leash of this process."""
    given = [sys.executable, "-I", "-S", leash.__file__, str(parent), *command]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=30)


def test_a_child_is_the_program_itself_in_a_session_of_its_own() -> None:
    child = children.spawn(["sleep", "60"])
    try:
        command = Path(f"/proc/{child.pid}/cmdline")
        wait_for(lambda: command.read_bytes() == b"sleep\x0060\x00", 30, "the child is the program")
        assert os.getsid(child.pid) == child.pid
    finally:
        children.stop(child, 10)


def test_a_child_has_the_environment_and_the_files_it_is_given(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as out:
        env = {"PATH": os.environ["PATH"], "NAME": "Ana"}
        child = children.spawn(["sh", "-c", "echo $NAME; pwd"], env=env, cwd=tmp_path, stdout=out)
        assert children.wait(child, 30) == 0
        out.seek(0)
        assert out.read().decode().split() == ["Ana", str(tmp_path)]


def test_a_program_that_is_not_there_is_named_before_anything_is_started() -> None:
    with pytest.raises(FileNotFoundError, match="There is no program no-such-program"):
        children.spawn(["no-such-program"])


def test_a_child_whose_parent_is_gone_does_not_begin() -> None:
    done = leashed(os.getppid(), "echo", "begun")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Whoever started this is gone already.\n")


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.touch(mode=0o600)
    done = leashed(os.getpid(), str(program))
    assert (done.returncode, done.stderr) == (1, f"{program} cannot be started: Permission denied.\n")
