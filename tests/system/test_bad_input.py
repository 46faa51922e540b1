"""Bad input gets one clear sentence with the remedy and the right exit code, and loses nothing.

A daemon's own (its state directory, its sockets, garbage on them) is in test_daemon_refusals.py.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.fleet import SCRIPTS, Fleet, dlroverctl, gang, pids

STEPS = str(SCRIPTS / "steps.py")
DEFAULT = ("--python", sys.executable)


@pytest.fixture
def here(fleet: Callable[..., Fleet]) -> Iterator[Fleet]:
    """A fleet with a job that must not notice."""
    made = fleet(nodes=2, slots=2)
    bystander = made.submit(STEPS)
    before = made.until_stepping(bystander)
    yield made
    after = made.client.job(bystander)
    assert (after.state, gang(after).round, pids(after)) == ("running", 1, pids(before))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("no.py",), "script: no.py does not exist in {cwd}; correct the path or set workdir"),
        (("--nnodes", "4:2", STEPS), "--nnodes: the minimum of 4:2 is above its maximum; use 2:4"),
        (("--nnodes", "3:4", "--node-unit", "2", STEPS), "--node-unit: 2 does not divide nnodes 3:4; use 2:4 or 4:4"),
        (("--nproc-per-nod", "2", STEPS), "--nproc-per-nod: unknown flag; did you mean --nproc-per-node?"),
        (
            ("broken.yaml",),
            "broken.yaml:3:5: not valid YAML: expected ',' or ']', but got ':'; correct it here or on the line before",
        ),
        (("unknown.yaml",), "unknown.yaml:2:1: nproc_per_nod: unknown key; did you mean nproc_per_node?"),
        (("absent.yaml",), "absent.yaml: there is no such file; check the path"),
    ],
)
def test_what_is_wrong_in_itself_is_refused_before_the_daemon_is_asked(
    tmp_path: Path, words: tuple[str, ...], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("script: x.py\nargs: [a\nname: b\n")
    Path("unknown.yaml").write_text(f"script: {STEPS}\nnproc_per_nod: 2\n")
    for command in ("submit", "run"):
        done = dlroverctl(command, *words, DLROVERD_ADDRESS="unix:///nobody/is/there.sock")
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr == f"dlroverctl: {sentence.replace('{cwd}', str(tmp_path))}\n"


def test_more_than_the_fleet_has_is_refused(here: Fleet) -> None:
    done = here.ctl("submit", *DEFAULT, "--nproc-per-node", "3", STEPS, code=1)
    assert done.stderr == (
        "dlroverctl: Role trainer asks for 1 node(s) with 3 slot(s) each; the fleet has 2 nodes with 2 slots. "
        "Ask for less (--nnodes, --nproc-per-node) or add nodes.\n"
    )


@pytest.mark.parametrize(
    ("text", "starts", "said"),
    [
        (
            "def f(:\n",
            1,
            (
                "raised SyntaxError at {script}:1: invalid syntax; correct it and submit again; "
                "starting it again can not help"
            ),
        ),
        (
            "\nimport nothing_such\n",
            1,
            (
                "raised ModuleNotFoundError at {script}:2: No module named 'nothing_such'; install it for the job's "
                "interpreter on every node, or name another interpreter with python; starting it again can not help"
            ),
        ),
        (
            "def f():\n    raise KeyError('loss')\nf()\n",
            2,
            "raised KeyError at {script}:2: 'loss'; the same at the last start, so it would again",
        ),
    ],
)
def test_what_cannot_be_helped_by_starting_again_is_not(
    here: Fleet, tmp_path: Path, text: str, starts: int, said: str
) -> None:
    script = tmp_path / "user.py"
    script.write_text(text)
    done = here.ctl("submit", "--wait", *DEFAULT, str(script), code=5)
    assert done.stderr == f"dlroverctl: job 2 failed: rank 0 on n1 {said.format(script=script)}\n"
    view = here.client.job(2)
    assert (gang(view).round, len(view.incidents)) == (starts, starts)
    assert done.stdout == "submitted job 2 (user)\n"


def test_a_script_that_went_away_after_the_submit_is_started_once(here: Fleet, tmp_path: Path) -> None:
    blocked = here.submit("--nproc-per-node", "2", STEPS)
    script = tmp_path / "user.py"
    script.write_text("print(1)\n")
    job = here.submit("--nproc-per-node", "2", str(script))
    script.unlink()
    here.client.cancel(blocked)
    over = here.until_over(job)
    assert (over.state, gang(over).round) == ("failed", 1)
    assert "has no script to run" in over.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone else")
def test_who_may_not_use_the_socket_is_told_so(here: Fleet) -> None:
    call = (
        "import os, sys; from dlroverd.client import Client; from dlroverd.protocol.errors import CallError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: Client(sys.argv[1]).nodes()\n"
        "except CallError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", call, here.address], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"You may not use {here.address}: ")
