"""How much slower the digits job is with everything of the bus on, beside everything off, in turns on one machine.

On: every step, a gauge and the saves are said, the optimizer's steps are counted, hosts and ranks are read each second,
Prometheus scrapes both endpoints each second, and a file sink takes all events. Off: none of it.
"""

import argparse
import contextlib
import re
import socket
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import Figure, compare

from tests.system.fleet import Fleet

RANK = str(Path(__file__).with_name("bus_digits_rank.py"))
EPOCHS = 40
TARGET = 1.01


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@contextlib.contextmanager
def scraped(ports: tuple[int, int]) -> Iterator[None]:
    """Scrape both endpoints once a second, as Prometheus would."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(1.0):
            for port in ports:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def trained_s(*, on: bool) -> float:
    """Run the job; how long its steps took."""
    with tempfile.TemporaryDirectory() as text, contextlib.ExitStack() as stack:
        folder, ports = Path(text), free_ports()
        daemon: dict[str, object] = {}
        agent: dict[str, object] = {"monitor_interval": 0}
        if on:
            sink = {"plugin": "file", "settings": {"path": str(folder / "events")}}
            daemon = {"sinks": [sink], "metrics": {"listen": f"tcp://127.0.0.1:{ports[0]}"}}
            agent = {"monitor_interval": "1s", "metrics": {"listen": f"tcp://127.0.0.1:{ports[1]}"}}
        fleet = Fleet(folder, daemon=daemon, agent=agent)
        fleet.start(1, 2)
        try:
            if on:
                stack.enter_context(scraped(ports))
            words = ("--epochs", str(EPOCHS), "--checkpoint-dir", str(folder / "checkpoints"), "--save-every", "40")
            told = ("--progress", "auto") if on else ()
            job = fleet.submit("--nproc-per-node", "2", *told, RANK, *words, *(("--events",) if on else ()))
            view = fleet.until_over(job)
            output = fleet.ctl("job", "logs", str(job)).stdout
            if view.state != "succeeded" or view.restarts:
                raise RuntimeError(f"the job did not train: {view.reason}\n{output[-2000:]}")
            found = re.findall(r"trained for ([0-9.]+) s", output)
            return float(found[-1])
        finally:
            stack.close()
            fleet.close()


def beside_training(options: argparse.Namespace) -> Iterator[Figure]:
    """Train in turns, so that what else the machine does falls on both alike."""
    on: list[float] = []
    off: list[float] = []
    for turn in range(options.runs):
        for told in (True, False) if turn % 2 else (False, True):
            (on if told else off).append(trained_s(on=told))
    yield compare("digits with all of the bus on [s]", on, "all of it off", off, TARGET)
