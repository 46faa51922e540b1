"""Forks ranks that have torch imported already: a rank is there in milliseconds. Driven over a socket on descriptor 0.

A request is a JSON line with the role (a function of the module that the argument names), its arguments and its
environment, and comes with the pipe that the rank speaks on; the answer is its process id. The end of the pipe is the
end of the rank.
"""

import importlib
import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.checkpoint.roles import Voice

roles = importlib.import_module(f"tests.checkpoint.{sys.argv[1]}")


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    roles.ready()
    line = socket.socket(fileno=0)
    line.sendall(b"ready\n")
    while True:
        request, pipes, _, _ = socket.recv_fds(line, 1 << 16, 1)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            line.close()
            rank(json.loads(request), pipes[0])
        os.close(pipes[0])
        line.sendall(f"{pid}\n".encode())


def rank(request: dict[str, Any], pipe: int) -> None:
    os.environ.update(request["env"])
    try:
        getattr(roles, request["role"])(Voice(pipe), **request["arguments"])
    except BaseException:  # noqa: BLE001 - a rank's end is told, whatever it is
        os.write(pipe, json.dumps({"error": traceback.format_exc()}).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
