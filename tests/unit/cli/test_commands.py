"""The commands as they are typed: what is understood, and what it costs to ask for help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlroverd.cli.reference import page

ROOT = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-m", "dlroverd.cli.app")


def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *words], env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_page_of_commands_is_their_help() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == page(), "run: python -m dlroverd.cli.reference docs/cli.md"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("squeue", "job list"),
        ("scancel", "job cancel JOB"),
        ("sbatch", "submit SCRIPT"),
        ("srun", "run SCRIPT"),
        ("get", "job list` or `dlroverctl node list"),
        ("describe", "job status JOB"),
    ],
)
def test_words_of_other_tools_get_a_hint(word: str, hint: str) -> None:
    done = run(word, "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no {word} here; use `dlroverctl {hint}`." in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("job", "frob"),
        ("frob",),
        ("job", "status"),
        ("job", "status", "x"),
        ("jobs", "list", "-o", "xml"),
        ("submit", "--standalone", "/bin/true"),
        ("submit", "-o", "table", "/bin/true"),
    ],
)
def test_what_is_not_understood_is_usage(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_help_and_completion_load_nothing_heavy_and_ask_nobody() -> None:
    code = """
import sys
from dlroverd.cli import app
for words in (["--help"], ["job", "--help"], ["completion", "bash"], ["completion", "zsh"], ["completion", "fish"]):
    assert app.run(words) == 0
heavy = {"grpc", "pydantic", "rich", "torch", "yaml", "asyncio"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "_DLROVERCTL_COMPLETE" in done.stdout


def test_a_word_is_completed_without_a_daemon() -> None:
    done = run(_DLROVERCTL_COMPLETE="bash_complete", COMP_WORDS="dlroverctl job st", COMP_CWORD="2")
    assert done.stdout.splitlines() == ["plain,status", "plain,stacks"]


def test_a_reader_that_has_enough_is_no_fault() -> None:
    command = [*PROGRAM, "config", "timeouts", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_limits_and_settings_are_shown_without_a_daemon(tmp_path: Path) -> None:
    file = tmp_path / "daemon.yaml"
    file.write_text("limits: {lost_after: 20s}\n")
    limits = run("config", "timeouts", "--daemon-config", str(file), "-o", "wide")
    (row,) = [line for line in limits.stdout.splitlines() if line.startswith("limits.lost_after")]
    assert row.split()[:4] == ["limits.lost_after", "20s", str(file), "yes"]
    assert "lost_after: 20s" in run("config", "show", "daemon", "--config", str(file)).stdout
    assert "is not a mapping" not in limits.stdout
    wrong = run("config", "check", "--kind", "agent", str(file))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith(f"dlroverctl: {file}:1:1: limits: unknown key")
