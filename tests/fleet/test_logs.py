"""Output of ranks on hosts that die, are cut off and come back."""

import re
import tarfile
from pathlib import Path

import pytest

from dlroverd.client import Client
from dlroverd.model.view import LogChunk
from dlroverd.protocol.messages import LogFailed
from tests.fleet.conftest import Boot
from tests.fleet.harness import CTL, CTL_PROGRAM, Fleet
from tests.system.fleet import SCRIPTS, gang, until

STEPS = str(SCRIPTS / "steps.py")
# Hosts of this bed share a kernel that is not theirs: of a window, their journal has this line.
SEGFAULT = "python[7]: segfault at 0 ip 00007f3d0e5e1a2c sp 00007ffd5d0 error 4 in libc.so.6"
JOURNALCTL = f"""#!/bin/sh
case "$*" in
*--until=*) echo '{{"__REALTIME_TIMESTAMP": "'$(date +%s%6N)'", "PRIORITY": "6", "MESSAGE": "{SEGFAULT}"}}' ;;
*) exec /usr/bin/journalctl "$@" ;;
esac
"""
LIMITS = {"unreachable_after": "1s", "lost_by_peers": "2s", "lost_after": "3s", "unreachable_limit": "5s"}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    return boot(2, daemon={"limits": LIMITS}, agent={"slots": 1})


@pytest.fixture
def job(fleet: Fleet) -> int:
    """A job on both hosts that may go on with one, in the midst of its steps."""
    number = fleet.submit("--nnodes", "1:2", "--nproc-per-node", "1", STEPS)
    fleet.until_stepping(number)
    until(lambda: read(fleet.client, number, 1)[0], lambda text: "step 100\n" in text)
    return number


def read(client: Client, job: int, rank: int, round_: int = 1) -> tuple[str, list[str]]:
    """Give a rank's output, and what is said of what cannot be had."""
    text, said = b"", []
    for piece in client.logs(job, ranks=[rank], round_=round_):
        match piece:
            case LogChunk():
                assert piece.gap_bytes == 0
                assert piece.offset == len(text)
                text += piece.data
            case LogFailed():
                said.append(piece.sentence)
    return text.decode(), said


def in_order(text: str) -> int:
    """See that no step is missing from a rank's output, or twice in it; how many there are."""
    steps = [int(found) for found in re.findall(r"^step (\d+)$", text, re.MULTILINE)]
    assert steps == list(range(1, len(steps) + 1))
    return len(steps)


def test_of_a_host_that_died_what_it_had_sent_is_there_and_all_when_it_is_back(fleet: Fleet, job: int) -> None:
    (node,) = (rank.node for rank in gang(fleet.client.job(job)).ranks if rank.rank == 1)
    sent, _ = read(fleet.client, job, 1)
    last = sent.splitlines()[-1].encode()
    held_here = (fleet.root(CTL) / "var/lib/dlroverd/output").glob
    until(lambda: b"".join(path.read_bytes() for path in held_here("*/*/1/[0-9]*")), lambda data: last in data)
    fleet.kill(node)
    fleet.until_job(job, lambda view: gang(view).round == 2 and gang(view).step >= 0)
    held, said = read(fleet.client, job, 1)
    (sentence,) = said
    found = re.fullmatch(rf"Node {node} is lost since [\d:]{{8}}: its output after byte (\d+) of rank 1 .*\.", sentence)
    assert found is not None, sentence
    assert int(found[1]) == len(held)
    assert in_order(held) >= 100
    assert held.startswith(sent), "what a reader had seen before the host died is gone"
    # The host may have died in the middle of a line: that is the third one, and is not shown.
    assert re.fullmatch(
        rf"Round 1: .*\b{node}\b.*\n(\[rank\d\] step \d+\n){{2,3}}",
        fleet.ctl("logs", str(job), "--first-error", "--round", "1", "--tail", "3", code=1),
    )

    fleet.start(node)
    fleet.until_ready()
    whole, said = read(fleet.client, job, 1)
    assert said == []
    assert whole.startswith(held.rpartition("\n")[0])
    in_order(whole)


def test_a_follower_goes_on_when_a_host_that_was_cut_off_is_back(fleet: Fleet, job: int) -> None:
    (node,) = (rank.node for rank in gang(fleet.client.job(job)).ranks if rank.rank == 1)
    words = f"{CTL_PROGRAM} logs -f {job} --rank 1 --no-prefix 2>&1"
    follower = fleet.spawn(CTL, "sh", "-c", words)
    assert follower.stdout is not None
    said = [follower.stdout.readline()]
    fleet.partition(node, peers=[CTL])
    while not said[-1].endswith("It goes on when the node is back.\n"):
        said.append(follower.stdout.readline())
    assert f"dlroverctl: Node {node} is unreachable since" in said[-1]
    before = in_order("".join(said[:-1]))
    fleet.heal()
    while not re.fullmatch(rf"step {before + 200}\n", said[-1]):
        said.append(follower.stdout.readline())
    assert gang(fleet.client.job(job)).round == 1, "the partition cost a step"
    fleet.client.cancel(job)
    said += follower.stdout.readlines()
    assert in_order("".join(line for line in said if not line.startswith("dlroverctl: "))) >= before + 200


def test_what_the_kernel_said_around_a_crash_is_in_why_and_in_the_bundle(
    fleet: Fleet, job: int, tmp_path: Path
) -> None:
    (rank,) = (rank for rank in gang(fleet.client.job(job)).ranks if rank.rank == 1)
    stand_in = fleet.root(rank.node) / "usr/local/bin/journalctl"
    stand_in.write_text(JOURNALCTL)
    stand_in.chmod(0o755)
    try:
        fleet.exec(rank.node, "kill", "-SEGV", str(rank.pid))
        fleet.until_job(job, lambda view: bool(view.incidents) and bool(view.incidents[0].action))
        assert SEGFAULT in fleet.ctl("job", "why", str(job))
        bundle = fleet.shared / "bundle.tar.gz"
        fleet.ctl("job", "bundle", str(job), "-o", str(bundle))
    finally:
        stand_in.unlink()
    with tarfile.open(bundle) as tar:
        tar.extractall(tmp_path, filter="data")
    assert SEGFAULT in (tmp_path / f"dlroverd-job-{job}/kernel/incident-1-{rank.node}.txt").read_text()
