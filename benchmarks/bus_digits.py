"""How much slower the digits job is with everything of the bus on, beside everything off, in turns on one machine.

On: every step, a gauge and the saves are said, the optimizer's steps are counted, hosts and ranks are read, Prometheus
scrapes both endpoints, and a file sink takes all events. Off: none of it. Reading and scraping is done as shipped (each
15 s, Prometheus' own default too), and once each second, 15 times as often, to see what it would take. As shipped it is
taken twice: with a processor to spare, as hosts with devices have them, and with a rank on each of two, where all that
anybody else does stops both. Each rank has one thread, as torchrun gives them.

Two like runs differ by some hundredths here. So it is also taken by the clock in the rank how much of its time goes
into saying all that.
"""

import argparse
import contextlib
import re
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, compare, within

from tests.system.fleet import OVER, Fleet, gang

RANK = str(Path(__file__).with_name("bus_digits_rank.py"))


SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """How often hosts are read and endpoints scraped, and how long a training it takes for that to happen often."""

    every_s: int
    ranks: int
    epochs: int
    target: float | None


CADENCES = (
    Cadence(every_s=15, ranks=1, epochs=300, target=1.01),
    Cadence(every_s=15, ranks=2, epochs=200, target=1.01),
    Cadence(every_s=1, ranks=2, epochs=40, target=None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How long the steps took and how much of that saying them, and the CPU seconds of daemon and agent a second."""

    trained_s: float
    told_s: float
    cpu_share: float


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@contextlib.contextmanager
def scraped(ports: tuple[int, int], every_s: float) -> Iterator[None]:
    """Scrape both endpoints, as Prometheus would."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(every_s):
            for port in ports:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def used_s(fleet: Fleet) -> float:
    """CPU seconds that daemon, agent and their plugins and monitors have used: all below them but ranks."""
    used = 0.0
    for program in (fleet.daemon, *fleet.agents.values()):
        if program.process is None:
            raise RuntimeError("the daemon or the agent has ended")
        process = psutil.Process(program.process.pid)
        children = [child for child in process.children() if not any("shim" in word for word in child.cmdline())]
        used += sum(times.user + times.system for times in (each.cpu_times() for each in (process, *children)))
    return used


def trained(cadence: Cadence, *, on: bool) -> Run:
    """Run the job."""
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder, ports = Path(text), free_ports()
        daemon: dict[str, object] = {}
        agent: dict[str, object] = {"monitor_interval": 0}
        if on:
            sink = {"plugin": "file", "settings": {"path": str(folder / "events")}}
            daemon = {"sinks": [sink], "metrics": {"listen": f"tcp://127.0.0.1:{ports[0]}"}}
            agent = {
                "monitor_interval": f"{cadence.every_s}s",
                "metrics": {"listen": f"tcp://127.0.0.1:{ports[1]}"},
            }
        fleet = Fleet(folder, daemon=daemon, agent=agent)
        fleet.start(1, 2)
        try:
            if on:
                stack.enter_context(scraped(ports, cadence.every_s))
            words = ("--epochs", str(cadence.epochs), "--checkpoint-dir", str(folder / "saved"), "--save-every", "40")
            told = ("--progress", "auto") if on else ()
            job = fleet.submit(
                *("--nproc-per-node", str(cadence.ranks), "--env", "OMP_NUM_THREADS=1"),
                *(*told, RANK, *words, *(("--events",) if on else ())),
            )
            cpu_share = share_until_over(fleet, job)
            output = fleet.ctl("job", "logs", str(job)).stdout
            found = re.findall(r"trained for ([0-9.]+) s, told for ([0-9.]+) s", output)[-1]
            return Run(trained_s=float(found[0]), told_s=float(found[1]), cpu_share=cpu_share)
        finally:
            stack.close()
            fleet.close()


def share_until_over(fleet: Fleet, job: int) -> float:
    """Wait for the job's end without asking, which would cost, too; gives `Run.cpu_share` since its first step."""
    began_at = began_s = 0.0
    for view in fleet.client.watch(job):
        if not began_at and view.state == "running" and gang(view).step >= 0:
            began_at, began_s = time.monotonic(), used_s(fleet)
        if view.state in OVER:
            if view.state == "succeeded" and not view.restarts and began_at:
                return (used_s(fleet) - began_s) / (time.monotonic() - began_at)
            raise RuntimeError(f"the job did not train: {view.reason}\n{fleet.ctl('job', 'logs', str(job)).stdout}")
    raise RuntimeError("the daemon is gone")


def beside_training(options: argparse.Namespace) -> Iterator[Figure]:
    """Train in turns, so that what else the machine does falls on both alike."""
    for cadence in CADENCES:
        on: list[Run] = []
        off: list[Run] = []
        for turn in range(options.runs):
            for told in (True, False) if turn % 2 else (False, True):
                (on if told else off).append(trained(cadence, on=told))
        read = f"{cadence.ranks} rank{'s' if cadence.ranks > 1 else ''}, read each {cadence.every_s} s"
        yield compare(
            f"digits, all of the bus on, {read} [s]",
            [each.trained_s for each in on],
            "all of it off",
            [each.trained_s for each in off],
            cadence.target,
        )
        yield within(f"digits, saying it, {read} [share]", [each.told_s / each.trained_s for each in on], SHARE)
        yield compare(
            f"daemon and agent meanwhile, {read} [cores]",
            [each.cpu_share for each in on],
            "all of it off",
            [each.cpu_share for each in off],
        )
