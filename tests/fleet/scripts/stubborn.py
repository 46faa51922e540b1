"""A rank that does all it can to leave something behind: `python stubborn.py STEPS NAME`.

It and each of its processes ignore TERM: a child, one in a session of its own, one that was forked twice, and a daemon
that also gave up its environment and its files, and listens on a port. Each has shared memory of its own,
`torch_NAME...` in /dev/shm.
"""

# ruff: noqa: T201 (what a rank has to say, it prints)

import mmap
import os
import signal
import socket
import sys
import time

steps, name = int(sys.argv[1]), sys.argv[2]
PORT = 31000 + int(os.environ["RANK"])


def share() -> mmap.mmap:
    """Make shared memory as torch does, with a name, and keep it."""
    memory = os.open(f"/dev/shm/torch_{name}-{os.environ['RANK']}-{os.getpid()}", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(memory, 1 << 16)
    return mmap.mmap(memory, 1 << 16)


def stay() -> None:
    """Be there for ever."""
    memory = share()
    memory[0] = 1
    while True:
        signal.pause()


def leave_the_session() -> None:
    """Be there in a session of its own."""
    os.setsid()
    stay()


def fork_twice() -> None:
    """Be there as nobody's child."""
    if os.fork():
        os._exit(0)
    stay()


def daemonise() -> None:
    """Become a daemon of the old school that nothing ties to the rank."""
    os.setsid()
    if os.fork():
        os._exit(0)
    memory = share()
    server = socket.create_server(("", PORT))
    memory[0] = 1
    for descriptor in range(3):
        os.close(descriptor)
    os.chdir("/")
    # Another program with an empty environment; it is told by its name and holds the port.
    os.set_inheritable(server.fileno(), True)
    waits = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    os.execve(sys.executable, [sys.executable, "-c", waits, name], {})  # noqa: S606 - no shell is wanted


signal.signal(signal.SIGTERM, signal.SIG_IGN)
for become in (stay, leave_the_session, fork_twice, daemonise):
    if not os.fork():
        become()
kept = share()
for step in range(1, steps + 1):
    print("step", step, flush=True)
    time.sleep(0.05)
