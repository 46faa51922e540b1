"""A rank of benchmarks/fleet_ranks.py: ends at its own moment, which it notes last of all.

    python fleet_exit_rank.py FOLDER SECONDS

The file `go` in FOLDER says when rank 0 is to end; each further rank ends so many SECONDS after the one before.
"""

import os
import sys
import time
from pathlib import Path

folder, apart_s, rank = Path(sys.argv[1]), float(sys.argv[2]), int(os.environ["RANK"])
print("step 0", flush=True)
while not (folder / "go").exists():
    time.sleep(0.2)
note = os.open(folder / f"{rank}.ended", os.O_WRONLY | os.O_CREAT)
time.sleep(max(0.0, float((folder / "go").read_text()) + rank * apart_s - time.time()))
os.write(note, str(time.time()).encode())
os._exit(0)
