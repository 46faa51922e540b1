"""Hands a rank's order to the first program of its unit (`entry.py`), and learns whether it became the rank."""

import asyncio
import os
import socket

from dlroverd_agent.launchers.files import RankFiles


async def hand_over(
    listener: socket.socket, order: bytes, ended: asyncio.Event, within_s: float
) -> socket.socket | None:
    """Give the order to who connects first; the connection then ends as soon as the rank's program runs.

    None if the unit ended without asking for it. TimeoutError if it did neither; then no order was given, and closing
    the listener makes sure that none ever is.
    """
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    asked = loop.create_task(loop.sock_accept(listener))
    over = loop.create_task(ended.wait())
    try:
        await asyncio.wait({asked, over}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            if over.done():
                return None
            raise TimeoutError
    finally:
        over.cancel()
        if not asked.done():
            asked.cancel()
    connection = asked.result()[0]
    connection.setblocking(False)
    try:
        await loop.sock_sendall(connection, order)
        connection.shutdown(socket.SHUT_WR)
    except ConnectionError:
        pass  # it died: its unit will say so
    return connection


async def became_rank(connection: socket.socket) -> None:
    """Return when the program behind the connection has become the rank, or has given up, and hang up."""
    try:
        await asyncio.get_running_loop().sock_recv(connection, 1)
    except ConnectionError:
        pass
    finally:
        connection.close()


def launch_error(files: RankFiles) -> str | None:
    """Read why the first program did not become the rank: "" if it did, None if it never came so far. Blocking."""
    try:
        descriptor = os.open(files.launch_error, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, 4096).decode(errors="replace")
    finally:
        os.close(descriptor)
