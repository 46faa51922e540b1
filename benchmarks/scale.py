"""One daemon and the agents of a large fleet: what it takes at rest, and how soon a world is told to all of them.

The daemon is a real process; agents are simulated (scale_agents.py says how much of one is real) in processes of their
own, over mutual TLS on loopback, with a beat each 5 s. All of it shares this machine's processors: agents that would
have one each wait for each other here, and that is in the time. They give way to the daemon (nice), whose processor
seconds are told apart. Beside it torch's c10d rendezvous, and DLRover's master where `--dlrover` names a Python that
has it.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, compare, p99, show, within
from scale_fleet import Fleet, fleet
from scale_peers import rendezvous
from scale_placement import placements

CPU_LIMIT, BEAT_LIMIT_S, WORLD_LIMIT_S = 1.0, 0.25, 5.0
JOB_NODES = 64
WINDOW_S = 30.0


def rest(made: Fleet, _runs: int) -> Iterator[Figure]:
    """Nothing happens but beats."""
    yield compare(f"{made.nodes} agents: memory [MiB]", [made.rss() / 2**20], "no agents", [made.empty_rss / 2**20])
    yield from _window(made, f"{made.nodes} agents")


def job(made: Fleet, _runs: int) -> Iterator[Figure]:
    """One job of 64 nodes trains, each telling its step with each beat."""
    number = made.submit(min(JOB_NODES, made.nodes))
    made.until_running(number)
    yield from _window(made, f"{made.nodes} agents, one job on {min(JOB_NODES, made.nodes)}")
    made.finish(number)


def _window(made: Fleet, what: str) -> Iterator[Figure]:
    seen = made.watch(WINDOW_S)
    yield within(f"{what}: daemon [cores]", [seen.daemon], CPU_LIMIT)
    yield compare(f"{what}: all agents [cores]", [seen.agents], "daemon", [seen.daemon])
    yield within(f"{what}: beat to its answer, p99 [s]", [p99(seen.beats)], BEAT_LIMIT_S)
    yield within(f"{what}: a client's call, p99 [s]", [p99(seen.calls)], BEAT_LIMIT_S)


def worlds(made: Fleet, runs: int) -> Iterator[Figure]:
    """A gang over all nodes, eight ranks on each: formed, and formed anew when one rank dies."""
    formed, reformed, forming, reforming = [], [], [], []
    for _ in range(runs):
        before = made.daemon_cpu_s()
        seconds, number = made.form()
        formed.append(seconds)
        forming.append(made.daemon_cpu_s() - before)
        made.until_running(number)
        before = made.daemon_cpu_s()
        died = made.kill_rank()
        reformed.append(made.until_told(number, 2, made.nodes) - died)
        reforming.append(made.daemon_cpu_s() - before)
        made.until_running(number)
        made.finish(number)
    for what, took, cpu in (
        ("submit to the last one's desired state", formed, forming),
        ("a rank's death to the last one's new desired state", reformed, reforming),
    ):
        yield within(f"{made.nodes} agents: {what} [s]", took, WORLD_LIMIT_S)
        yield compare(f"{made.nodes} agents: {what}: daemon's CPU [s]", cpu, "by the clock", took)


def restarts(made: Fleet, runs: int) -> Iterator[Figure]:
    """The daemon killed and started again: until it serves, and until the hello of every agent is acknowledged."""
    back, serving, cpu = [], [], []
    for _ in range(runs):
        killed, served = made.restart_daemon()
        serving.append(served - killed)
        back.append(made.until_reconciled(killed) - killed)
        cpu.append(made.daemon_cpu_s())
    yield compare(f"{made.nodes} agents: daemon killed to all reconciled [s]", back, "killed to serving", serving)
    yield compare(f"{made.nodes} agents: daemon killed to all reconciled: daemon's CPU [s]", cpu, "by the clock", back)


OF_A_FLEET: dict[str, Callable[[Fleet, int], Iterator[Figure]]] = {
    "rest": rest,
    "job": job,
    "worlds": worlds,
    "restarts": restarts,
}


def main() -> None:
    """Print the figures of each measurement, at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="1000,4096,10000", help="sizes, with commas between")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--only", choices=(*OF_A_FLEET, "peers", "placement"), action="append", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--dlrover", metavar="PYTHON", help="a Python with dlrover and grpcio, for its master beside ours"
    )
    options = parser.parse_args()
    chosen = options.only or [*OF_A_FLEET, "peers", "placement"]
    failures = 0
    for nodes in map(int, options.nodes.split(",")) if OF_A_FLEET.keys() & set(chosen) else ():
        try:
            with fleet(nodes) as made:
                for name, measure in OF_A_FLEET.items():
                    for figure in measure(made, options.runs) if name in chosen else ():
                        show(figure, as_json=options.json)
        except RuntimeError as error:  # the other sizes are measured all the same
            sys.stderr.write(f"{nodes} agents: {error}\n")
            failures += 1
    if "placement" in chosen:
        for figure in placements(options.runs):
            show(figure, as_json=options.json)
    if "peers" in chosen:
        for figure in rendezvous(options.runs, options.dlrover):
            show(figure, as_json=options.json)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
