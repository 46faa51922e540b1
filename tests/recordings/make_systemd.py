"""Makes the recordings of what only systemd can tell anew: run as `python -m tests.recordings.make_systemd`, as root.

It runs itself within v2run (the test bed's kernel with all controllers of cgroup v2) under the systemd launcher there.
"""

import asyncio
import json
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from dlroverd_agent.launchers.systemd import SystemdLauncher

from dlroverd.model.ids import RankKey
from dlroverd.model.job import Resources
from tests.fleet.bed import program
from tests.recordings.make import RECORDED
from tests.system.launching import Seen, python

_MARK = "recordings: "
_EATS = "print('step 7'); eaten = bytearray(200 << 20)"
CASES = {
    "systemd_oom": (_EATS, Resources(memory_bytes=100 << 20)),
    "systemd_oom_of_a_child": (
        f"import os\nif os.fork() == 0:\n  {_EATS}\nelse:\n  print(os.wait())",
        Resources(memory_bytes=100 << 20),
    ),
    "systemd_core_dump": (
        "import ctypes, resource; resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)); ctypes.string_at(0)",
        Resources(),
    ),
    "systemd_signal": ("import os; os.kill(os.getpid(), 11)", Resources()),
    "systemd_exit": ("import sys; sys.exit(3)", Resources()),
}


async def _happen(number: int, code: str, resources: Resources, state_dir: Path) -> dict[str, object]:
    seen = Seen()
    launcher = SystemdLauncher(state_dir, "recordings", seen)
    await launcher.recover()
    key = RankKey(number, "trainer", 0, 1, 0)
    await launcher.start(replace(python(code, key=key), resources=resources))
    end = await seen.end(key)
    output = launcher.files(key).output.read_text(errors="replace").splitlines()
    await launcher.close()
    words = {"launch_error": end.launch_error, "result": end.result, "output": output}
    return {"after_s": 0.0, "code": end.code, "signal": end.signal, **words}


def _inside() -> None:
    made: dict[str, object] = {}
    for number, (name, (code, resources)) in enumerate(CASES.items(), start=1):
        with tempfile.TemporaryDirectory() as folder:
            ranks = {"0": asyncio.run(_happen(number, code, resources, Path(folder)))}
        made[name] = {"origin": "recorded", "source": f"systemd launcher, {platform.platform()}", "ranks": ranks}
    sys.stdout.write(f"\n{_MARK}{json.dumps(made)}\n")


def _outside() -> None:
    command = [str(program("v2run")), "-m", "1G", "-t", "280", "--", "env", f"PYTHONPATH={Path.cwd()}"]
    inside = [sys.executable, "-m", "tests.recordings.make_systemd", "inside"]
    done = subprocess.run([*command, *inside], check=True, stdout=subprocess.PIPE, text=True)
    made = next(line for line in done.stdout.splitlines() if line.startswith(_MARK)).removeprefix(_MARK)
    for name, kept in json.loads(made).items():
        (RECORDED / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        _inside()
    else:
        _outside()
