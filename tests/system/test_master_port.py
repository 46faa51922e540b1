"""The agent sees for itself whether the port of a world is free once the world is gone."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.system.fleet import SCRIPTS, Fleet, pids, until


def master_port(pid: int) -> int:
    """Read a rank's MASTER_PORT."""
    environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return int(dict(word.split("=", 1) for word in environ if "=" in word)["MASTER_PORT"])


def test_who_has_the_port_of_a_world_that_is_gone_is_named(fleet: Callable[..., Fleet]) -> None:
    one = fleet()
    log = one.root / "n1.log"
    for squatted in (False, True):
        job = one.submit("--shutdown-timeout", "1", str(SCRIPTS / "steps.py"))
        port = master_port(pids(one.until_stepping(job))[0])
        with socket.socket() as squatter:
            if squatted:
                squatter.bind(("0.0.0.0", port))
                squatter.listen()
            one.client.cancel(job)
            one.until_over(job)
            if squatted:
                said = until(log.read_text, lambda text: "is still taken" in text)
                (line,) = [each for each in said.splitlines() if "is still taken" in each]
                assert f"{job}/trainer/0@1#0" in line
                assert str(port) in line
                assert f"pid {os.getpid()} (" in line
