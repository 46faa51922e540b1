"""A process that has imported the daemon and forks one whenever told to, so that a start costs milliseconds.

On stdin one JSON object a line, `{"argv": [...], "env": {...}}`; on stdout `started PID`, then `ended PID STATUS`
(negative: the signal) when it has. The child is on the forgetful disk if `env` says so and the library is loaded.
Channels and servers of gRPC must not exist before the fork; modules may.
"""

import ctypes
import json
import os
import sys

from dlroverd.daemon.main import main
from dlroverd.runtime import codec


def warm_up() -> None:
    """Build what a daemon builds at first use."""
    shapes = [*codec.EVENTS._shapes.values(), *codec.INPUTS._shapes.values(), *codec._ROWS.values()]
    for shape in shapes:
        assert shape._adapter is not None
        assert shape._has_dict in (True, False)


def live(argv: list[str], env: dict[str, str]) -> None:
    """Be a daemon, in the child; does not return."""
    status = 70
    try:
        os.environ.update(env)
        if "FORGETFUL_DIRECTORY" in env:
            ctypes.CDLL(None).forgetful_start()
        status = main(argv)
    finally:
        os._exit(status)


def say(*words: object) -> None:
    """Write one line."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def serve() -> None:
    """Serve until stdin ends: one daemon at a time, so waiting for its end needs no more than waitpid."""
    warm_up()
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            live(order["argv"], order["env"])
        say("started", pid)
        _, status = os.waitpid(pid, 0)
        say("ended", pid, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
