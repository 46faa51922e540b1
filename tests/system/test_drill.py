"""Rehearsed faults, as people order them, on real agents and ranks."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlroverd.cli.drilling import Drilling
from dlroverd.cli.endings import Exit
from dlroverd.cli.rehearsal import Fault
from dlroverd.model.world import DrillKind
from tests.system.fleet import DLROVERCTL, SCRIPTS, Fleet, gang, pids, until

Fleets = Callable[..., Fleet]
STEPS = str(SCRIPTS / "steps.py")
TREE = str(SCRIPTS / "tree.py")


class Drill:
    """A `job drill` that runs beside the test."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._said: list[str] = []
        # Read all the while: a pipe that is full would stop it.
        self._reader = threading.Thread(target=lambda: self._said.extend(process.communicate()))
        self._reader.start()

    def outcome(self, code: int = 0) -> Any:
        """Give what it says of its end; fails if its exit code is another one."""
        self._reader.join()
        assert self._process.returncode == code, self._said
        return json.loads(self._said[0])

    def close(self) -> None:
        self._process.kill()
        self._reader.join()


@contextlib.contextmanager
def drilling(here: Fleet, job: int, *words: str) -> Iterator[Drill]:
    """Order a drill, and follow it beside the test."""
    drill = Drill(
        subprocess.Popen(
            [*DLROVERCTL, "job", "drill", str(job), *words, "--yes", "-o", "json"],
            env={**os.environ, "DLROVERD_ADDRESS": here.address},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    try:
        yield drill
    finally:
        drill.close()


@contextlib.contextmanager
def kept(here: Fleet, node: str) -> Iterator[None]:
    """Start a node's agent anew when it ends, as systemd would."""
    agent = here.agents[node]
    process = agent.process
    assert process is not None

    def keep() -> None:
        process.wait()
        agent.start()

    keeper = threading.Thread(target=keep)
    keeper.start()
    yield
    keeper.join()


def stopped(pid: int) -> bool:
    """Tell whether a process is stopped; one that has ended is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except FileNotFoundError:
        return False


def until_stopped(pid: int, *, is_stopped: bool) -> None:
    until(lambda: stopped(pid), lambda seen: seen is is_stopped)


def child_of(here: Fleet, job: int) -> int:
    (pid,) = re.findall(r"^child (\d+)$", here.ctl("logs", str(job), "--rank", "0").stdout, re.MULTILINE)
    return int(pid)


def ordered(here: Fleet) -> int:
    """Count the drills that were ever ordered."""
    return len(list(here.client.events(names=["drill_ordered"])))


def test_a_killed_rank_is_measured_against_what_was_expected(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=2)
    job = here.submit("--nnodes", "2", "--nproc-per-node", "2", "--max-restarts", "0", STEPS)
    before = pids(here.until_stepping(job))
    with drilling(here, job, "--kill-rank", "1") as drill:
        said = drill.outcome()
    assert (said["kind"], said["outcome"], said["fault"]["kind"]) == ("drill", "restarted", "kill_rank")
    assert (said["fault"]["node"], said["fault"]["rank"]) == ("n1", 1)
    phases = {phase["phase"]: phase for phase in said["phases"]}
    assert list(phases) == [
        *("noticed", "detect", "stop", "decide", "wait", "start", "load", "unknown", "total"),
    ]
    measured = {name: phase["measured_s"] for name, phase in phases.items()}
    assert measured.pop("total") == pytest.approx(sum(measured.values()), abs=1e-3)
    assert phases["load"]["source"] == "the job's first start"
    assert phases["load"]["expected_s"] is not None
    assert said["incident"]["drill"].startswith("kill_rank ordered by ")

    view = here.client.job(job)
    assert not set(before) & set(pids(view))
    # No restart was left to the job, and a drill takes none.
    assert (view.restarts, view.restarts_in_window, len(view.incidents)) == (1, 0, 1)
    (cause,) = [incident.cause for incident in view.incidents]
    assert cause is not None
    assert (cause.rank.rank if cause.rank else None, cause.exit.signal if cause.exit else None) == (1, 9)
    assert "It was a drill (kill_rank) ordered by " in here.ctl("why", str(job)).stdout

    with drilling(here, job, "--kill-rank", "0") as drill:
        again = {phase["phase"]: phase for phase in drill.outcome()["phases"]}
    assert again["load"]["source"] == "incident 1"
    assert again["load"]["expected_s"] == measured["load"]


def test_a_frozen_rank_goes_on_with_its_whole_tree(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit(TREE)
    (main,) = pids(here.until_stepping(job))
    child = child_of(here, job)
    with drilling(here, job, "--freeze-rank", "0", "--for", "3s") as drill:
        until_stopped(child, is_stopped=True)
        until_stopped(main, is_stopped=True)
        said = drill.outcome()
    assert not stopped(main)
    assert not stopped(child)
    assert said["outcome"] == "went_on"
    # No step was seen meanwhile, as far as beats tell: there is one a second.
    (pause,) = [phase for phase in said["phases"] if phase["phase"] == "pause"]
    assert pause["measured_s"] > pause["expected_s"] / 2
    assert pids(here.client.job(job)) == [main]
    assert not here.client.job(job).incidents


def test_a_hung_rank_leaves_its_children_running(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit(TREE)
    (main,) = pids(here.until_stepping(job))
    child = child_of(here, job)
    with drilling(here, job, "--hang-rank", "0", "--for", "2s") as drill:
        until_stopped(main, is_stopped=True)
        assert not stopped(child)
        assert drill.outcome()["outcome"] == "went_on"
    assert not stopped(main)


def test_a_killed_agent_finds_its_ranks_again(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    job = here.submit("--nnodes", "2", STEPS)
    before = pids(here.until_stepping(job))
    agent = here.agents["n2"].process
    assert agent is not None
    with kept(here, "n2"), drilling(here, job, "--kill-agent", "n2") as drill:
        said = drill.outcome()
    assert agent.returncode == -signal.SIGKILL
    assert said["outcome"] == "went_on"
    assert [phase["phase"] for phase in said["phases"] if phase["measured_s"] is not None] == ["agent_back", "total"]
    # It is carried out once: the agent that came back was not killed as well.
    assert here.agents["n2"].process is not None
    assert here.agents["n2"].process.poll() is None
    assert pids(here.client.job(job)) == before
    assert not here.client.job(job).incidents


def test_a_lost_node_is_silent_and_frozen_and_comes_back(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    job = here.submit("--nnodes", "2", STEPS)
    other, lost = pids(here.until_stepping(job))
    agent = here.agents["n2"].process
    assert agent is not None
    with drilling(here, job, "--lose-node", "n2", "--for", "7s") as drill:
        until_stopped(agent.pid, is_stopped=True)
        assert stopped(lost)
        assert not stopped(other)
        here.until_nodes(lambda nodes: nodes[1].state == "unreachable")
        said = drill.outcome()
    assert said["outcome"] == "went_on"
    assert not stopped(lost)
    here.until_nodes(lambda nodes: nodes[1].state == "ready")
    assert pids(here.client.job(job)) == [other, lost]
    # The new hello ends the drill at the daemon, so that no later fault is taken for it.
    (end,) = here.client.events(names=["drills_ended"])
    assert end.node == "n2"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_an_agent_left_frozen_is_thawed(fleet: Fleets, number: signal.Signals) -> None:
    here = fleet()
    job = here.submit(TREE)
    (main,) = pids(here.until_stepping(job))
    with drilling(here, job, "--freeze-rank", "0", "--for", "1h"):
        until_stopped(main, is_stopped=True)
        here.agents["n1"].stop(number)
        # One that ends in good order leaves nothing frozen behind; one that was killed leaves that to the next.
        assert stopped(main) is (number is signal.SIGKILL)
        here.agents["n1"].start()
        until_stopped(main, is_stopped=False)
        assert not stopped(child_of(here, job))
    assert not (here.root / "n1" / "frozen.json").exists()
    assert pids(here.client.job(job)) == [main]


def test_a_job_that_ends_meanwhile_ends_the_drill(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--shutdown-timeout", "1", TREE)  # what is frozen hears no TERM
    (main,) = pids(here.until_stepping(job))
    with drilling(here, job, "--freeze-rank", "0", "--for", "1h") as drill:
        until_stopped(main, is_stopped=True)
        here.ctl("job", "cancel", str(job))
        assert drill.outcome(Exit.JOB_FAILED)["outcome"] == "failed"


def test_a_fault_that_nothing_comes_of_is_followed_for_so_long_and_no_longer(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit(STEPS)
    here.until_stepping(job)
    # Nobody starts this agent anew.
    fault = Fault(kind=DrillKind.KILL_AGENT, node="n1")
    outcome = Drilling(here.client, here.client.job(job), fault, limit_s=1.0).run()
    assert (outcome.name, outcome.code) == ("timed_out", Exit.TIMED_OUT)
    assert outcome.sentence.startswith(f"job {job} was followed for 1 s, and nothing of the fault was seen")
    here.agents["n1"].stop()
    here.agents["n1"].start()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "Name one fault: --kill-rank, --freeze-rank, --hang-rank, --kill-agent, --lose-node."),
        (("--kill-rank", "0", "--hang-rank", "0"), 2, "Name one fault: "),
        (("--kill-rank", "0", "--for", "3s"), 2, "--for: what --kill-rank does is done at once; drop it."),
        (("--hang-rank", "0", "--for", "soon"), 2, "--for: must be a duration such as 500ms"),
        (("--hang-rank", "0", "--for", "2h"), 1, "A drill lasts 0 to 3600 s, not 7200."),
        (("--lose-node", "n1", "--role", "trainer"), 2, "--role and --gang are for faults of a rank"),
        (("--kill-rank", "0", "--role", "ps"), 2, "add one of: --role trainer --gang 0."),
        (("--kill-rank", "7"), 1, "Job 1 has no rank 7; see `dlroverctl job status 1`."),
        (("--lose-node", "n9"), 1, "Job 1 has no rank on n9; it is on n1."),
    ],
)
def test_a_drill_that_cannot_be_is_refused(here: Fleet, words: tuple[str, ...], code: int, sentence: str) -> None:
    assert sentence in here.ctl("job", "drill", "1", *words, "--yes", code=code).stderr
    assert ordered(here) == 0


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One running job, which no test of this fixture may disturb."""
    one = Fleet(tmp_path_factory.mktemp("drill"))
    one.start(1, 2)
    one.until_stepping(one.submit(STEPS))
    yield one
    one.close()


def test_nobody_is_surprised(here: Fleet) -> None:
    unasked = here.ctl("job", "drill", "1", "--kill-rank", "0", code=2)
    assert unasked.stdout.startswith("SIGKILL ends rank 0 of job 1 (steps) on n1, as if from outside.\n")
    assert "Nobody can be asked off a terminal: add --yes if it is meant." in unasked.stderr
    code, said = on_a_terminal(here, "n\n", "job", "drill", "1", "--kill-rank", "0")
    assert "Do it? [y/N]: " in said
    assert said.endswith("dlroverctl: nothing was done.\n")
    assert code == 1
    assert ordered(here) == 0


def on_a_terminal(here: Fleet, answer: str, *words: str) -> tuple[int, str]:
    """Run dlroverctl as at a terminal, where `answer` is typed; gives its exit code and what is seen."""
    here_end, there = pty.openpty()
    process = subprocess.Popen(
        [*DLROVERCTL, *words],
        env={**os.environ, "DLROVERD_ADDRESS": here.address},
        stdin=there,
        stdout=there,
        stderr=there,
    )
    os.close(there)
    os.write(here_end, answer.encode())
    seen = b""
    with contextlib.suppress(OSError):  # so a terminal tells that its last user has closed it
        while piece := os.read(here_end, 4096):
            seen += piece
    os.close(here_end)
    return process.wait(), seen.decode().replace("\r\n", "\n")


def test_a_node_is_down_when_a_person_says_so(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    job = here.submit("--nnodes", "1:2", STEPS)
    other, stale = pids(here.until_stepping(job))
    assert "its agent is connected, so it is not down" in here.ctl("node", "confirm-down", "n2", "--yes", code=1).stderr
    assert "There is no node n9" in here.ctl("node", "confirm-down", "n9", "--yes", code=1).stderr
    here.agents["n2"].stop(signal.SIGKILL)
    here.until_nodes(lambda nodes: nodes[1].state == "unreachable")
    unasked = here.ctl("node", "confirm-down", "n2", code=2).stderr
    assert f"Its ranks of jobs {job} are taken as ended; if the host still runs them, two writers" in unasked
    assert here.client.nodes()[1].state == "unreachable"

    code, said = on_a_terminal(here, "y\n", "node", "confirm-down", "n2")
    assert "Is n2 down? [y/N]: " in said
    assert code == 0

    again = here.until_stepping(job, 2)
    assert [rank.node for rank in gang(again).ranks] == ["n1"]
    assert other not in pids(again)
    assert "its host was confirmed down by" in here.ctl("why", str(job)).stdout
    # The host did run it all the same: what is stale is stopped when the agent is back.
    assert Path(f"/proc/{stale}").exists()
    here.agents["n2"].start()
    until(lambda: Path(f"/proc/{stale}").exists(), lambda exists: not exists)
