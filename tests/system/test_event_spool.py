"""The agent's side of events is killed again and again while ranks write: nothing is lost, doubled or out of order."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from dlroverd_agent.events.files import EventFiles

from dlroverd.model.ids import RankKey
from tests.system import event_taker
from tests.system.fleet import ROOT, until

KILLS = 12
RANKS = 3


def say(path: Path, first: int, count: int) -> None:
    """Write events as a rank does: each by a write of its own."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    for number in range(first, first + count):
        line = {"n": "user.tick", "t": time.time(), "m": time.monotonic(), "b": {"number": number, "pad": "x" * 300}}
        os.write(file, json.dumps(line).encode() + b"\n")
    os.close(file)


def test_no_kill_loses_or_doubles_an_event(tmp_path: Path) -> None:
    files = EventFiles(tmp_path / "run", tmp_path, event_taker.BOOT)
    keys = [RankKey(1, "trainer", 0, 1, rank) for rank in range(RANKS)]
    paths = [files.make(key, os.geteuid(), os.getegid()) for key in keys]
    command = [sys.executable, "-m", event_taker.__name__, str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "agent")])}
    taken, said = tmp_path / "taken", 0
    for life in range(KILLS + 1):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ)
        assert process.stdout is not None
        process.stdout.readline()
        before = taken.read_bytes().count(b"\n")
        for _ in range(random.randrange(1, 20)):
            for path in paths:
                say(path, said + 1, 40)
            said += 40
        wanted = said * RANKS if life == KILLS else before + 1
        until(lambda: taken.read_bytes().count(b"\n"), wanted.__le__)
        process.kill()
        process.communicate()
    lines = [json.loads(line) for line in taken.read_text().splitlines()]
    assert [sequence for sequence, _, _ in lines] == list(range(1, said * RANKS + 1))
    for key in keys:
        assert [number for _, rank, number in lines if rank == str(key)] == list(range(1, said + 1))
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) < event_taker.ROOM_BYTES
