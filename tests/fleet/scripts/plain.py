"""Ranks that train together without torch: every step is a sum over all ranks, by plain sockets.

    python plain.py STEPS [SECONDS A STEP]

Prints `step N`. As with gloo, a rank whose peer's connection is closed raises, and one whose peer falls silent waits.
With WRITES set, each rank appends `ROUND RANK NODE PID STEP` to that file once a step is over; with STEP_FILE set,
rank 0 keeps the newest step there, and the next round goes on from it. With DEAF set, a rank that lost a peer waits
for ever instead.
"""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import signal
import socket
import struct
import sys
import time
from pathlib import Path

steps, pause_s = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
master = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
_NUMBER = struct.Struct("!q")
_JOIN_S = 30.0


def join() -> list[socket.socket]:
    """Connect all with rank 0: it gives the sockets to all others, which give the one to it."""
    if rank == 0:
        with socket.create_server(("", master[1]), backlog=world) as server:
            return [server.accept()[0] for _ in range(world - 1)]
    deadline_s = time.monotonic() + _JOIN_S
    while True:
        try:
            joined = socket.create_connection(master, timeout=1.0)
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"failed to connect to the store of rank 0: {error}") from error
            time.sleep(0.05)
        else:
            joined.settimeout(None)
            return [joined]


def receive(peer: socket.socket) -> int:
    """Take one number from a peer."""
    got = b""
    while len(got) < _NUMBER.size:
        try:
            piece = peer.recv(_NUMBER.size - len(got))
        except OSError as error:
            raise RuntimeError(error.strerror) from error
        if not piece:
            raise RuntimeError("Connection closed by peer")
        got += piece
    return int(_NUMBER.unpack(got)[0])


def send(number: int) -> None:
    """Give a number to all peers."""
    for peer in peers:
        try:
            peer.sendall(_NUMBER.pack(number))
        except OSError as error:
            raise RuntimeError(error.strerror) from error


def total(number: int) -> int:
    """Sum a number over all ranks."""
    if rank:
        send(number)
        return receive(peers[0])
    number += sum(receive(peer) for peer in peers)
    send(number)
    return number


def train() -> None:
    """Make all steps. Each is over when all ranks have its sum, as with gloo's all_reduce: hence a second sum."""
    state = Path(os.environ["STEP_FILE"]) if "STEP_FILE" in os.environ else None
    first = total(int(state.read_text()) if rank == 0 and state and state.exists() else 0)
    for step in range(first + 1, steps + 1):
        if total(step) != step * world or total(1) != world:
            raise RuntimeError("the ranks are not at the same step")
        if rank == 0 and state:
            new = state.with_suffix(".new")
            new.write_text(str(step))
            new.rename(state)
        if writes is not None:
            line = f"{os.environ['DLROVERD_ROUND']} {rank} {os.environ['DLROVERD_NODE']} {os.getpid()} {step}\n"
            os.write(writes, line.encode())
        print("step", step, flush=True)
        time.sleep(pause_s)


# Whole lines, whoever writes at the same time.
writes = os.open(os.environ["WRITES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if "WRITES" in os.environ else None
peers = join()
try:
    train()
except RuntimeError as lost:
    print(lost, flush=True)
    while "DEAF" in os.environ:
        signal.pause()
    raise
print("rank", rank, "has finished", flush=True)
