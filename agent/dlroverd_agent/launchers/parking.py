"""Begins a spare: the process that is to be a rank's next life, and waits with its imports done (docs/warm-spares.md).

Run as a program, for the standard library alone, as `python -I -S parking.py KIND ...` in a folder of the agent's:

    unit SOCKET          within a unit of systemd's: connects to the agent by that socket, and becomes the spare.
    shim CONTROL CHANNEL outside of the agent's process tree, with two connections to it: a shim whose child is the
                         spare, and which serves the rank once the agent says of which it is.

The spare is the rank's own command line with an entry of the environment more, by which Python waits before the script
begins (dlroverd_train/_spare.py). It lives as long as its connection to the agent: nothing of it is on disk, and none
is left that nobody knows of.
"""

import fcntl
import json
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

ORDERS = "DLROVERD_SPARE"
FIRST_TO_GO = 1000


def lower() -> None:
    """Have this process run when nobody else wants to, and be the first that is ended when memory runs out.

    Only if it can be undone: a user cannot.
    """
    if os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, 19)
        Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO), encoding="ascii")


def lift(pid: int, nice: int, oom_score_adjust: int) -> None:
    """Undo `lower` for a process with all its threads, to what it would have had. OSError: it is not there now."""
    if os.geteuid() != 0:
        return
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    Path(f"/proc/{pid}/oom_score_adj").write_text(str(oom_score_adjust), encoding="ascii")


def _become_spare(agent: socket.socket, order: dict[str, Any], told: int, parent: int) -> None:
    """Turn this process into the spare; it hears the agent by `agent`, and says by `told` why it cannot be the rank."""
    from dlroverd_agent.launchers import becoming  # noqa: PLC0415 - its path is known only now

    for descriptor in (agent.fileno(), told):
        os.set_inheritable(descriptor, True)
    # Room for what the environment will show then (_spare.py).
    order["env"][ORDERS] = f"{agent.fileno()} {told}".ljust(order.pop("room"))
    output = os.memfd_create("output")
    fcntl.fcntl(output, fcntl.F_SETFL, os.O_APPEND)
    lower()
    becoming.become_rank(**order, output=output, failure=agent.fileno(), parent=parent)


def _take(agent: socket.socket) -> dict[str, Any]:
    """Take the order: its length in bytes, a newline, JSON."""
    with agent.makefile("rb", buffering=0) as file:
        left, text = int(file.readline()), b""
        while left > len(text):
            piece = file.read(left - len(text))
            if not piece:
                sys.exit(0)  # without the agent nobody wants a spare
            text += piece
    order: dict[str, Any] = json.loads(text)
    return order


def _serve(control: socket.socket, channel: socket.socket) -> None:
    """Be the shim, first of the spare and then of the rank."""
    from dlroverd_agent.launchers import shim  # noqa: PLC0415 - as above

    shim.leave()
    order = _take(channel)
    failure, told = os.pipe()
    this = os.getpid()
    spare = os.fork()
    if spare == 0:
        os.close(control.detach())
        _become_spare(channel, order, told, this)
    channel.close()
    os.close(told)
    ended = os.pidfd_open(spare)
    events = select.poll()
    for descriptor in (ended, control.fileno()):
        events.register(descriptor, select.POLLIN)
    if any(descriptor == ended for descriptor, _ in events.poll()):
        _end_children()
        return
    directory, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
    if not descriptors:
        _end_children()
        return
    os.chdir(directory)
    own = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii"))
    lift(spare, os.getpriority(os.PRIO_PROCESS, 0), max(0, own))
    control.send(b".")  # now it may begin
    control.close()
    os.close(ended)
    shim.Shim(socket.socket(fileno=descriptors[0]), parked=(spare, failure)).run()


def _end_children() -> None:
    """KILL the spare and all that it started, which becomes ours as its parents die, and wait until none is left."""
    try:
        while True:
            with open("/proc/thread-self/children", encoding="ascii") as children:
                for pid in map(int, children.read().split()):
                    os.kill(pid, signal.SIGKILL)
            os.wait()
    except ChildProcessError:
        pass


def main() -> None:
    """Begin a spare, of either kind."""
    # Behind the standard library, not before it: this folder is where the agent's other packages are.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    kind, *rest = sys.argv[1:]
    if kind == "unit":
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        agent.connect(rest[0])
        _become_spare(agent, _take(agent), agent.fileno(), parent=0)
    control, channel = (socket.socket(fileno=int(each)) for each in rest)
    for each in (control, channel):
        each.set_inheritable(False)
    _serve(control, channel)


if __name__ == "__main__":
    main()
