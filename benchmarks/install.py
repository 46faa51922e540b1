"""How long hosts take from package to ready, by the commands of docs/handbook.md, one host after the other.

Needs root, as tests/fleet does. The issue asks for 64 hosts in ten minutes by any loop. This machine bears a few, so
the time of 64 is that of one times 64: the slowest loop there is, and hosts share this machine's processors. To build
the packages, and to copy them to the hosts, is not in it.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from figures import compare, show, within

from tests.fleet.bed import missing
from tests.fleet.installed import Installed, installed

HOSTS, LIMIT_S = 64, 600.0


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if why := missing():
        sys.exit(f"benchmarks/install.py: {why}")
    with installed(options.hosts) as fleet:
        began_s = time.monotonic()
        fleet.walk("Install", only="dlroverctl_*.deb dlroverd_*.deb")
        fleet.walk("Install", only="setup daemon", but="--dry-run")
        daemon_s = time.monotonic() - began_s
        fleet.walk("Install", only="token create")
        fleet.call()
        took_s = [ready_s(fleet, node) for node in fleet.nodes]
    show(compare("daemon_from_package_to_serving_s", [daemon_s], "one host", took_s), as_json=options.json)
    show(
        within(f"{HOSTS}_hosts_one_after_the_other_s", [HOSTS * each for each in took_s], LIMIT_S), as_json=options.json
    )


def ready_s(fleet: Installed, node: str) -> float:
    """Install a host and have it join; gives the time until the daemon lists it as ready."""
    began_s = time.monotonic()
    fleet.walk("Install", only="dlroverd-agent_*.deb", node=node)
    fleet.walk("Install", only="--join", node=node)
    fleet.until_nodes(lambda views: any(view.id == node and view.state == "ready" for view in views))
    return time.monotonic() - began_s


if __name__ == "__main__":
    main()
