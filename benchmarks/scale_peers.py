"""Rendezvous of so many agents by others, each as its users run it, beside ours at the same size on this machine.

As it was done for shared/research/measurements.md: agents are threads of two processes, each with a connection of its
own; the time is from their common start until the last one holds the world.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from figures import Figure, compare
from scale_fleet import fleet

TORCH_SIZES, DLROVER_SIZES = (16, 64, 128), (128, 1024)
_PROCESSES = 2
_LIMIT_S = 120.0
# DLRover's agents ask for the world each 5 s as shipped; 0.2 s shows what its master takes.
_POLLS_S = (5.0, 0.2)
_HERE = Path(__file__).parent


def rendezvous(runs: int, dlrover: str | None) -> Iterator[Figure]:
    """Compare ours with torch's c10d, and with DLRover's master if `dlrover` is a Python that has it."""
    sizes = sorted({*TORCH_SIZES, *(DLROVER_SIZES if dlrover else ())})
    for nodes in sizes:
        with fleet(nodes) as made:
            ours = []
            for _ in range(runs):
                seconds, job = made.form()
                ours.append(seconds)
                made.until_running(job)
                made.finish(job)
        if nodes in TORCH_SIZES:
            theirs = [_run([sys.executable, str(_HERE / "scale_torch.py")], nodes) for _ in range(runs)]
            yield compare(f"{nodes} agents: submit to the last one's world [s]", ours, "torch c10d", theirs)
        if dlrover and nodes in DLROVER_SIZES:
            for poll_s in _POLLS_S:
                script = [dlrover, str(_HERE / "scale_dlrover.py"), str(poll_s)]
                theirs = [_run(script, nodes) for _ in range(runs)]
                against = f"DLRover's master, asked each {poll_s:g} s"
                yield compare(f"{nodes} agents: submit to the last one's world [s]", ours, against, theirs)


def _run(script: Sequence[str], nodes: int) -> float:
    """Start a server and processes of agents, have all begin at once; gives the seconds until the last is done.

    `script serve NODES` prints its port when it listens, and ends with its standard input.
    `script agents PORT FIRST COUNT NODES AT` begins at AT, on CLOCK_MONOTONIC, and prints when its last agent held
    the world.
    """
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    server = subprocess.Popen([*script, "serve", str(nodes)], stdin=pipe, stdout=pipe, stderr=none, text=True)
    agents: list[subprocess.Popen[str]] = []
    try:
        port = json.loads(server.stdout.readline() if server.stdout else "")
        # All are ready well before: what they import takes a few seconds.
        at = time.monotonic() + 15.0
        for number in range(_PROCESSES):
            first, after = (nodes * each // _PROCESSES for each in (number, number + 1))
            words = ["agents", port, first, after - first, nodes, at]
            command = [*script, *map(str, words)]
            agents.append(subprocess.Popen(command, stdout=pipe, stderr=none, text=True))
        done = [json.loads(each.communicate(timeout=_LIMIT_S)[0].splitlines()[-1]) for each in agents]
        return float(max(done)) - at
    except subprocess.TimeoutExpired:
        return float("inf")  # the sizes at which it does not finish are known
    finally:
        for process in agents:
            process.kill()
            process.wait()
        server.communicate()
