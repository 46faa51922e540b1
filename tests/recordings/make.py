"""Makes the recordings anew: lets real failures happen under the process launcher, and keeps what each rank left.

Run as `python -m tests.recordings.make [case ...]`, as root, where torch and g++ are installed; look at the diff.
What is kept is the launcher's own word for the end and the rank's output, so that tests read it with the agent's code.
"""

import asyncio
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.process import ProcessLauncher

from dlroverd.model.ids import RankKey
from tests.recordings.cases import CASES, Case
from tests.system.launching import Seen

RECORDED = Path(__file__).parent / "recorded"
_MADE_WITH = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.platform()}"
_OUTPUT_BYTES = 8192


def record(name: str) -> None:
    """Let one case happen and write its file."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
        try:
            ranks = asyncio.run(_happen(CASES[name], Path(folder), small))
        finally:
            subprocess.run(["umount", small], check=True)
    kept = {"origin": "recorded", "source": _MADE_WITH, "ranks": ranks}
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


async def _happen(case: Case, folder: Path, small: Path) -> dict[str, object]:
    script = folder / "train.py"
    script.write_text(case.script)
    if case.cpp:
        compiler = ["g++", "-x", "c++", "-o", str(folder / "program"), "-"]
        await asyncio.to_thread(subprocess.run, compiler, input=case.cpp, text=True, check=True)
    launcher, seen = None, Seen()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        if not case.port_taken:
            taken.close()
        launcher = ProcessLauncher(folder / "state", seen)
        await launcher.recover()
        keys = {rank: RankKey(1, "trainer", 0, 1, rank) for rank in case.ranks}
        for rank, key in keys.items():
            environment = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONUNBUFFERED": "1",
                "RANK": str(rank),
                "WORLD_SIZE": str(case.world),
                "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "SMALL": str(small),
            }
            await launcher.start(
                LaunchOrder(
                    key=key,
                    argv=_argv(case),
                    cwd=str(folder),
                    env=environment,
                    uid=os.geteuid(),
                    gid=os.getegid(),
                )
            )
        ends = {rank: await seen.end(key) for rank, key in keys.items()}
    first = min(end.exited_at for end in ends.values())
    kept: dict[str, object] = {}
    for rank, key in keys.items():
        end = ends[rank]
        output = launcher.files(key).output
        text = output.read_text(errors="replace") if output.exists() else ""
        kept[str(rank)] = {
            "after_s": round(end.exited_at - first, 3),
            "code": end.code,
            "signal": end.signal,
            "launch_error": end.launch_error,
            "output": text[-_OUTPUT_BYTES:].replace(str(folder), "/job").splitlines(),
        }
    await launcher.close()
    return kept


def _argv(case: Case) -> tuple[str, ...]:
    inner = case.argv or (sys.executable, "train.py")
    first = shutil.which((*case.around, *inner)[0]) or (*case.around, *inner)[0]
    return (first, *(*case.around, *inner)[1:])


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        record(name)
        sys.stdout.write(f"{name}\n")
