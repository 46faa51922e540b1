"""Output of ranks on several nodes, read as people read it, while agents and the daemon come and go."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.system.fleet import DLROVERCTL, SCRIPTS, Fleet, pids, until

Fleets = Callable[..., Fleet]

STEPS = str(SCRIPTS / "steps.py")


class Follower:
    """A `dlroverctl logs -f` that runs beside the test."""

    def __init__(self, here: Fleet, *words: str) -> None:
        self.out, self.err = here.root / "followed.out", here.root / "followed.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self._process = subprocess.Popen(
                [*DLROVERCTL, "logs", "-f", *words],
                stdout=out,
                stderr=err,
                env={**os.environ, "DLROVERD_ADDRESS": here.address},
            )

    def until(self, *texts: str) -> str:
        """Wait until all of these were printed."""
        return until(self.out.read_text, lambda seen: all(text in seen for text in texts))

    def ended(self) -> int:
        return self._process.wait(60)

    def steps(self, prefix: str) -> list[int]:
        """Give the steps that were printed behind a prefix, in order."""
        found = re.findall(rf"^{re.escape(prefix)}step (\d+)$", self.out.read_text(), re.MULTILINE)
        return [int(step) for step in found]


def test_a_follower_loses_and_doubles_nothing_when_agents_and_the_daemon_are_killed(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    job = here.submit("--nnodes", "2", "--nproc-per-node", "1", STEPS, "--steps", "1000")
    here.until_stepping(job)
    following = Follower(here, str(job), "--tail", "5")
    following.until("[n1 rank0] step", "[n2 rank1] step")
    first = {prefix: following.steps(prefix)[0] for prefix in ("[n1 rank0] ", "[n2 rank1] ")}
    here.agents["n2"].stop(signal.SIGKILL)
    here.agents["n2"].start()
    here.daemon.stop(signal.SIGKILL)
    here.daemon.start()
    assert here.until_over(job).state == "succeeded"
    assert following.ended() == 0, following.err.read_text()
    for prefix, step in first.items():
        assert following.steps(prefix) == list(range(step, 1001))
        assert f"{prefix}the last line has no end\n" in following.out.read_text()
    assert min(first.values()) > 1, "the tail was no tail"


def held_by_the_daemon(here: Fleet, rank: int) -> bytes:
    """Give what is on the daemon's disk of a rank's output."""
    return b"".join(path.read_bytes() for path in here.state_dir.glob(f"output/*/*/{rank}/[0-9]*"))


def test_of_a_node_that_is_away_what_it_had_sent_is_there_and_the_rest_when_it_is_back(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    job = here.submit("--nnodes", "2", "--nproc-per-node", "1", STEPS)
    here.until_stepping(job)
    (pid,) = (each for each in pids(here.client.job(job))[1:])
    until(lambda: held_by_the_daemon(here, rank=1), lambda data: b"step 20\n" in data)
    os.kill(pid, signal.SIGSTOP)
    here.agents["n2"].stop(signal.SIGKILL)
    here.until_nodes(lambda views: [view.state for view in views] == ["ready", "unreachable"])

    held = here.ctl("logs", str(job), "--rank", "1", code=1)
    assert held.stdout.startswith("rank 1 of 2 on n2\nstep 1\n")
    assert "step 10\n" in held.stdout
    (said,) = held.stderr.splitlines()
    found = re.fullmatch(
        r"dlroverctl: Node n2 is unreachable since [\d:]{8}: its output after byte (\d+) of rank 1 cannot be had\.",
        said,
    )
    assert found is not None, said
    assert int(found[1]) == len(held.stdout.rstrip("\n")) + held.stdout.endswith("\n")
    assert (
        here.ctl("logs", str(job), "--rank", "1", "--tail", "1", code=1).stdout == held.stdout.splitlines()[-1] + "\n"
    )

    following = Follower(here, str(job), "--rank", "1")
    following.until("step 10\n")
    until(following.err.read_text, lambda text: text.endswith("cannot be had. It goes on when the node is back.\n"))
    here.agents["n2"].start()
    os.kill(pid, signal.SIGCONT)
    following.until(f"step {following.steps('')[-1] + 10}\n")
    here.client.cancel(job)
    here.until_over(job)
    assert following.ended() == 0
    steps = following.steps("")
    assert steps == list(range(1, steps[-1] + 1))
    assert here.ctl("logs", str(job), "--rank", "1").stdout.startswith(held.stdout)


def test_the_first_error_is_that_of_the_rank_that_failed_and_rounds_are_shown_in_order(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=2)
    job = here.submit("--nnodes", "2", "--nproc-per-node", "2", "--max-restarts", "1", STEPS, "--steps", "3")
    assert here.until_over(job).state == "succeeded"
    quiet = here.ctl("logs", str(job), "--first-error")
    assert (quiet.stdout, quiet.stderr) == ("", f"dlroverctl: job {job} had no fault\n")

    job = here.submit(
        *("--nnodes", "2", "--nproc-per-node", "2", "--max-restarts", "1", STEPS, "--steps", "400", "--fail")
    )
    view = here.until_stepping(job)
    until(lambda: here.ctl("logs", str(job), "--rank", "3").stdout, lambda text: "step" in text)
    os.kill(pids(view)[3], signal.SIGKILL)
    assert here.until_over(job).state == "failed"
    first, *lines = here.ctl("logs", str(job), "--first-error").stdout.splitlines()
    assert first.startswith("Round 2: rank 0 on n1 raised ValueError at ")
    assert lines[-1] == "ValueError: the loss is not a number"
    assert "Traceback (most recent call last):" in lines
    assert "step 400" in lines
    killed = here.ctl("logs", str(job), "--first-error", "--round", "1", "--tail", "1").stdout.splitlines()
    assert killed[0].startswith("Round 1: rank 3 on n2 was killed by SIGKILL, which dlroverd did not send; ")
    assert re.fullmatch(r"step \d+", killed[1])

    every = here.ctl("logs", str(job), "--round", "all", "--rank", "0,2-3").stdout.splitlines()
    assert {line.partition("]")[0] for line in every} == {
        f"[round{round_} {rank}" for round_ in (1, 2) for rank in ("n1 rank0", "n2 rank2", "n2 rank3")
    }
    rounds = [line[6] for line in every]
    assert rounds == sorted(rounds)
    assert here.ctl("logs", str(job), "--rank", "1", "--since", "0s").stdout == ""
    assert "rank 1 of 4 on n1" in here.ctl("logs", str(job), "--rank", "1", "--since", "1h").stdout
    assert "names no rank" in here.ctl("logs", str(job), "--rank", "3-1", code=2).stderr
    assert "give it at most --round and --tail" in here.ctl("logs", str(job), "--first-error", "-f", code=2).stderr
    assert f"Job {job} had no round 9 yet" in here.ctl("logs", str(job), "--round", "9", code=1).stderr


def test_since_shows_what_is_new_over_a_restart_of_the_agent(fleet: Fleets) -> None:
    here = fleet(nodes=1, slots=1)
    job = here.submit("--nproc-per-node", "1", STEPS)
    (index,) = until(
        lambda: list(here.root.glob("n1/ranks/*/output.index")),
        lambda found: bool(found) and found[0].stat().st_size >= 32,
    )
    here.agents["n1"].stop(signal.SIGKILL)
    here.agents["n1"].start()
    size = index.stat().st_size
    until(lambda: index.stat().st_size, lambda now: now >= size + 64)
    whole = here.ctl("logs", str(job)).stdout.splitlines()
    recent = here.ctl("logs", str(job), "--since", "2s").stdout.splitlines()
    assert 0 < len(recent) < len(whole)
    first = whole.index(recent[0])
    assert recent[: len(whole) - first] == whole[first:]


def test_a_rank_that_floods_its_output_is_kept_within_its_limit_and_the_gap_shown(
    fleet: Fleets, tmp_path: Path
) -> None:
    here = fleet(nodes=1, slots=1)
    here.agents["n1"].stop()
    file = here.root / "n1.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "log_limit": "1MiB"}))
    here.agents["n1"].start()
    script = tmp_path / "floods.py"
    script.write_text(
        "import sys, signal\n"
        "for line in range(1_000_000):\n    sys.stdout.write(f'{line:063d}\\n')\n"
        "sys.stdout.flush(); signal.pause()\n"
    )
    job = here.submit("--nproc-per-node", "1", str(script))
    (output,) = until(lambda: list(here.root.glob("n1/ranks/*/output.log")), bool)
    until(output.stat, lambda seen: seen.st_size == 64_000_000 and seen.st_blocks * 512 <= 2 << 20)
    first, *lines = here.ctl("logs", str(job)).stdout.splitlines()
    assert first == "[60.0 MiB not kept]"
    assert [int(line) for line in lines[1:]] == list(range(1_000_000 - len(lines) + 1, 1_000_000))
    assert 1 << 20 <= sum(len(line) + 1 for line in lines) <= (1 << 20) + 4096
