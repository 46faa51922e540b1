"""The lease of a rank that must not outlive its node's word with the daemon, and who keeps it: a process of its own.

The keeper stands beside the rank, from before its program runs until it has ended. It must not need the agent to end
the rank, nor to be running itself: its alarm is the kernel's, and so is what follows from its death. A pipe that only
the keeper can write to then loses its writer, of which the kernel tells the rank's process group by KILL. So the lease
runs out for a rank whose agent is dead, and for one that is frozen together with its agent and its keeper.

Times are of `clock`, which goes on while the host sleeps. Imports the standard library alone: it runs within the first
program of a rank. The agent sends `renew` by a socket in the rank's directory, which no other user may reach.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import time

SOCKET = "lease.sock"

_UNTIL = struct.Struct("d")


def clock() -> float:
    """Give the time that leases are measured by: seconds since the host's boot, those asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def renew(directory: str, until: float) -> None:
    """Tell a rank's keeper that the lease runs until then; it is never shortened. Blocking.

    OSError: there is no keeper (any more), and so no rank.
    """
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(_UNTIL.pack(until), f"/proc/self/fd/{folder}/{SOCKET}")
    finally:
        os.close(folder)


def guard(until: float) -> None:
    """Give the process that is about to become the rank, leader of its process group, a keeper.

    Called in the rank's directory. The keeper is no child of the rank, and holds nothing of it. ValueError: the lease
    has run out.
    """
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(SOCKET)
    os.chmod(SOCKET, 0o600)
    reader, writer = os.pipe()
    rank = os.pidfd_open(os.getpid())
    first = os.fork()
    if first == 0:
        if os.fork():
            os._exit(0)
        _keep(told, rank, writer, until)
    os.waitpid(first, 0)
    os.close(writer)
    os.close(rank)
    told.close()
    armed = os.read(reader, 1)
    # It is the rank that holds the reading end. The kernel sends the signal in the name of who asks for it here: of
    # root, or of the rank's own user.
    fcntl.fcntl(reader, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(reader, fcntl.F_SETFL, fcntl.fcntl(reader, fcntl.F_GETFL) | os.O_ASYNC)
    os.set_inheritable(reader, True)
    hung_up = select.poll()
    hung_up.register(reader, 0)
    if not armed or hung_up.poll(0):
        raise ValueError("it has run out")


def _keep(told: socket.socket, rank: int, writer: int, until: float) -> None:
    """Be the keeper. Whatever ends it, ends the rank."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        kept = sorted((told.fileno(), rank, writer))
        for low, high in zip((2, *kept), (*kept, os.sysconf("SC_OPEN_MAX")), strict=True):
            os.closerange(low + 1, high)
        # A stop is the rank's to obey. The alarm alone keeps its default, which is death without a line of ours.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGALRM}:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        heard = select.poll()
        for descriptor in (told.fileno(), rank):
            heard.register(descriptor, select.POLLIN)
        armed = False
        while True:
            signal.setitimer(signal.ITIMER_REAL, max(until - clock(), 1e-6))
            # Frozen between reading the clock and setting the alarm, it would be late.
            if clock() >= until:
                return
            if not armed:
                os.write(writer, b".")
                armed = True
            if any(descriptor == rank for descriptor, _ in heard.poll()):
                return
            until = max(until, _UNTIL.unpack(told.recv(_UNTIL.size))[0])
    finally:
        os._exit(0)
