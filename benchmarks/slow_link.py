"""Slow links in a real gloo job on hosts of the test bed: is the right host named, how soon, and is no other accused.

Each trial draws one of four hosts, and makes its link slow (5 to 100 ms more each way) until it is
named and let go again. Before each is a quiet time of ten looks, in which nobody may be named. Hosts are read and
looked at each second; as shipped it is each 15 seconds, and takes as many readings.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import show, within
from fleet_hosts import hosts

from tests.fleet.harness import SCRIPTS
from tests.system.fleet import until

NODES, LOOKS, MOST_S = 4, 10, 60.0
RIGHT, FALSE, LIMIT_S = 0.95, 0.01, 30.0


def main() -> None:
    """Print the figures of some trials."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    of = random.Random(options.seed)
    seconds, wrong, accused = [], [], []
    with hosts(NODES, {"diagnosis": {"interval": "1s"}}, slots=1, monitor_interval="1s") as fleet:
        job = fleet.submit("--nnodes", str(NODES), str(SCRIPTS / "ddp.py"), "10000000", "0.2")
        fleet.until_stepping(job)
        for _ in range(options.runs):
            end, anybody = time.monotonic() + LOOKS, False
            while time.monotonic() < end:
                anybody |= bool(fleet.client.job(job).diagnoses)
                time.sleep(0.2)
            accused.append(float(anybody))
            host = f"node{of.randint(1, NODES)}"
            delay = f"{of.uniform(5, 100):.0f}ms"
            fleet.slow(host, delay=delay)
            began = time.monotonic()
            while not (named := fleet.client.job(job).diagnoses) and time.monotonic() < began + MOST_S:
                time.sleep(0.1)
            took = time.monotonic() - began
            right = [(each.kind, each.node) for each in named] == [("slow_link", host)]
            print(f"{host} {delay}: {[each.sentence for each in named]} {took:.1f} s", file=sys.stderr, flush=True)
            wrong.append(float(not right))
            if right:
                seconds.append(took)
            fleet.heal()
            until(lambda: fleet.client.job(job), lambda view: not view.diagnoses)
    shares = (("not named, or another host", wrong, 1 - RIGHT), ("quiet times with anybody accused", accused, FALSE))
    for name, each, limit in shares:
        show(within(f"slow link: {name}, n={len(each)} [share]", [sum(each) / len(each)], limit), as_json=options.json)
    if seconds:
        show(within("slow link: named after [s]", [max(seconds)], LIMIT_S), as_json=options.json)


if __name__ == "__main__":
    main()
