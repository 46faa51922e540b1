"""torchrun's own elastic launcher on the hosts of a fleet, its rendezvous on the host of our daemon.

Each torchrun is the one service of its host, which systemd ends with KILL after LIFE_S at the latest. The store is
not shared with the ranks: as shipped, a restart hangs in a third of the runs (research/measurements.md, section 1).
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fleet.harness import CTL, Fleet

LIFE_S = 240
TUNED = "keep_alive_interval=1,keep_alive_max_attempt=3,last_call_timeout=1"
_PORT = 29400
_STORE = f"""
import threading, torch.distributed as dist
store = dist.TCPStore("{CTL}", {_PORT}, is_master=True, wait_for_workers=False)
print("serves", flush=True)
threading.Event().wait()
"""


class Torchrun:
    """One elastic run of at most two hosts. A third one waits until the run has room for it."""

    def __init__(self, fleet: Fleet, nnodes: str, tuning: str) -> None:
        """Start its rendezvous; `tuning` is what --rdzv-conf is to say beside where the store is."""
        self._fleet = fleet
        self._nnodes = nnodes
        self._tuning = f",{tuning}" if tuning else ""
        self._service(CTL, "store", [sys.executable, "-c", _STORE])

    def start(self, nodes: Sequence[str], *script: str) -> None:
        """Start it on hosts."""
        for node in nodes:
            words = [
                *("--nnodes", self._nnodes, "--nproc-per-node", "1", "--max-restarts", "3", "--local-addr", node),
                *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{CTL}:{_PORT}", "--rdzv-id", "bench"),
                *("--rdzv-conf", f"is_host=0{self._tuning}"),
            ]
            self._service(node, "torchrun", [sys.executable, "-m", "torch.distributed.run", *words, *script])

    def stop(self) -> None:
        """End all of it at once, on the hosts that are up."""
        up = {host for host, state in self._fleet.states().items() if state == "running"}
        for host, unit in [(CTL, "store"), *((node, "torchrun") for node in self._fleet.nodes)]:
            if host in up:
                self._fleet.exec(host, "systemctl", "stop", unit, code=None)
                self._fleet.exec(host, "systemctl", "reset-failed", unit, code=None)

    def _service(self, host: str, unit: str, command: Sequence[str]) -> None:
        settings = {"RuntimeMaxSec": str(LIFE_S), "KillSignal": "SIGKILL", "WorkingDirectory": str(Path(sys.prefix))}
        environment = ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1", "OMP_NUM_THREADS=1"]
        self._fleet.exec(
            host,
            *("systemd-run", "--quiet", f"--unit={unit}"),
            *(f"--property={name}={value}" for name, value in settings.items()),
            *(f"--setenv={each}" for each in environment),
            *command,
        )
