"""Tells systemd how this process is (sd_notify(3)): ready, what it does, alive. Nothing happens without systemd.

Must not block: a datagram that systemd has no room for is dropped, as the next one says the same.
"""

import os
import socket


def ready(status: str) -> None:
    """Say that start-up is over, and what follows."""
    _send(f"READY=1\nSTATUS={status}")


def status(text: str) -> None:
    """Put one line into `systemctl status`."""
    _send(f"STATUS={text}")


def stopping() -> None:
    """Say that the process is on its way out in good order."""
    _send("STOPPING=1")


def alive() -> None:
    """Feed the watchdog; call it from the loop it is to watch, at least twice per `watchdog_s`."""
    _send("WATCHDOG=1")


def watch_every(period_s: float) -> None:
    """Have the watchdog wait so long for each sign of life from now on."""
    _send(f"WATCHDOG_USEC={period_s * 1e6:.0f}")


def watchdog_s() -> float | None:
    """Tell after how many seconds of silence systemd ends this process; None if it does not watch it."""
    period_us = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(period_us) / 1e6 if period_us.isdigit() and watched == str(os.getpid()) else None


def _send(message: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A leading @ is systemd's way to write an abstract address.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(message.encode(), address)
        except OSError:
            pass  # systemd is restarting or its queue is full; a watchdog that starves says so by itself
