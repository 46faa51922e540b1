"""A rank with a child of its own, which nobody but its parent knows of."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import subprocess
import sys
import time

child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
for step in range(1, 10**9):
    print("step", step, flush=True)
    time.sleep(0.01)
