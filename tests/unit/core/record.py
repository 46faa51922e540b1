"""Makes tests/unit/core/recorded/ anew: lets real failures happen under torch, and keeps what each rank left behind.

Run as `python tests/unit/core/record.py [case ...]` where torch is installed; look at the diff.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"

# Each is the script of both ranks; those that need one only name it in ALONE.
_BEGIN = """
import datetime, os, signal, time
import torch, torch.distributed as dist
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=8))
dist.barrier()
if rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(0.5)
"""
CASES = {
    "all_reduce": _BEGIN + "dist.all_reduce(torch.ones(1000))\n",
    "barrier": _BEGIN + "dist.barrier()\n",
    "broadcast": _BEGIN + "dist.broadcast(torch.ones(1000), src=1)\n",
    "monitored_barrier": _BEGIN + "dist.monitored_barrier()\n",
    "ddp_backward": _BEGIN.replace(
        "dist.barrier()\n", "ddp = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(9, 9))\n"
    )
    + "ddp(torch.ones(2, 9)).sum().backward()\n",
    "recv_timeout": _BEGIN.replace("    os.kill(os.getpid(), signal.SIGKILL)", "    time.sleep(10)").replace("=8", "=2")
    + "dist.all_reduce(torch.ones(1000))\n",
    "peer_absent": _BEGIN.replace("=8", "=2"),
    "store_refused": _BEGIN.replace("=8", "=2"),
    "port_taken": _BEGIN,
    "import_error": "import torch\nfrom torch import nothing_like_this\n",
    "module_not_found": "import nothing_like_this\n",
    "syntax_error": "import os\nx = = 1\n",
    "exception": "def train(step):\n    raise ValueError(f'bad shape at {step}')\ntrain(7)\n",
    "exit_code": "import sys\nprint('giving up')\nsys.exit(3)\n",
    "segv": "import torch, ctypes\nctypes.string_at(0)\n",
    "abort": "import os\nprint('what(): bad state', flush=True)\nos.abort()\n",
}
ALONE = {"peer_absent": "0", "store_refused": "1", "port_taken": "0"} | dict.fromkeys(
    ("import_error", "module_not_found", "syntax_error", "exception", "exit_code", "segv", "abort"), "0"
)


def record(case: str) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if case != "port_taken":
            taken.close()
        script = Path(folder) / "train.py"
        script.write_text(CASES[case])
        ranks = [ALONE[case]] if case in ALONE else ["0", "1"]
        running = {}
        for rank in ranks:
            environment = {**os.environ, "RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "PYTHONUNBUFFERED": "1"}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            output = (Path(folder) / f"{rank}.log").open("wb")
            running[rank] = subprocess.Popen(
                [sys.executable, "train.py"], stdout=output, stderr=output, cwd=folder, env=environment
            )
        for rank, process in running.items():
            status = process.wait(120)
            text = (Path(folder) / f"{rank}.log").read_text(errors="replace").replace(folder, "/job")
            kept = {
                "code": status if status >= 0 else None,
                "signal": -status if status < 0 else None,
                "output": text[-6000:].splitlines(),
            }
            (RECORDED / f"{case}.rank{rank}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        record(name)
