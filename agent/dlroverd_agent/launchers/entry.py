"""The first program of a rank's unit: it takes the order from the agent, and becomes the rank.

Run by systemd as `python -I -S entry.py` in the rank's directory, within the unit's limits. The order (what to run,
where, as whom, with which environment) comes over the rank's control socket and is in no file and no property of the
unit. Without the agent at the other end, or with half an order, nothing is run: so a unit that systemd starts after
its agent died runs nothing that nobody knows of.

The agent sees the end of the connection once the rank's program runs. The file `launch_error`, which only root may
write, then stays empty, also for an agent that comes later; else it says why.
"""

import json
import os
import socket
import sys


def main() -> None:
    """Become the rank, or end with 127."""
    # Behind the standard library, not before it: this folder is where the agent's other packages are.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from dlroverd_agent.launchers import becoming, shim  # noqa: PLC0415 - the path comes first

    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    agent.connect(shim.CONTROL)
    order = json.loads(b"".join(iter(lambda: agent.recv(65536), b"")))
    failure = os.open(shim.LAUNCH_ERROR, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    output = becoming.open_output(order["uid"], order["gid"], shim.OUTPUT)
    becoming.become_rank(**order, output=output, failure=failure)


if __name__ == "__main__":
    main()
