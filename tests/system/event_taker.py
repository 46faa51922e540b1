"""An agent's reader and spool with a daemon that keeps what it takes in a file: for a test that kills all of it.

As the real ones do it: a batch is written whole before it is taken, and what is known is not written again.
"""

import json
import os
import sys
from pathlib import Path

from dlroverd_agent.events.files import EventFiles
from dlroverd_agent.events.reader import Reader
from dlroverd_agent.events.readings import Readings
from dlroverd_agent.events.spool import Spool

BOOT = "0123456789abcdef"
ROOM_BYTES = 8 * 1024 * 1024  # so that a file of the spool is full after some two thousand events


def main(root: Path) -> None:
    """Read and take until killed."""
    files = EventFiles(root / "run", root, BOOT)
    spool = Spool(root / "spool", BOOT, ROOM_BYTES)
    reader = Reader(files.folder, spool, Readings())
    for name, key in files.found().items():
        reader.watch(name, key)
    log = os.open(root / "taken", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    known = last_known(root / "taken")
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    while True:
        reader.look()
        for (unit, why), count in reader.take_dropped().items():
            sys.stderr.write(f"{count} events of {unit} were lost: {why}\n")
        if (batch := spool.batch("n1")) is not None:
            new = [event for event in batch.events if event.sequence > known]
            lines = [json.dumps([event.sequence, str(event.rank), json.loads(event.body)["number"]]) for event in new]
            os.write(log, "".join(f"{each}\n" for each in lines).encode())
            known = max(known, batch.events[-1].sequence)
            spool.taken(batch.spool, known)


def last_known(log: Path) -> int:
    """Give the last sequence that is in the log whole, which a kill in the middle of a write may have torn."""
    whole = log.read_bytes().rpartition(b"\n")[0]
    with log.open("r+b") as file:
        file.truncate(len(whole) + 1 if whole else 0)
    return int(json.loads(whole.rpartition(b"\n")[2])[0]) if whole else 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
