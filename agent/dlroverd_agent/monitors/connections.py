"""How long it takes from this host to those that its ranks talk to, and back, by the kernel's own measure.

The kernel times each TCP connection by what goes through it anyway: a smoothed round trip, and its mean deviation (RFC
6298). It is asked for the connections that ranks have open to other hosts, as `ss -ti` does (sock_diag(7)). What counts
is two deviations below the mean, and no less than the shortest in minutes: that is long only where nearly all are, and
not after a few samples, of a busy host's start. Imports little: see `child.py`.
"""

import os
import socket
import struct
from collections.abc import Iterable, Iterator

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, netinet/tcp.h
_SOCK_DIAG, _BY_FAMILY = 4, 20
_REQUEST_DUMP = 0x301
_ERROR, _DONE = 2, 3
_ESTABLISHED = 1 << 1
_WITH_INFO, _INFO = 1 << 1, 2
_HEADER, _QUESTION = struct.Struct("=IHHII"), struct.Struct("=BBBBI48x")
_ATTRIBUTE, _WORD = struct.Struct("=HH"), struct.Struct("=I")
# Within an answer: addresses, inode, and where attributes begin; within TCP_INFO: when data went last each way
# (milliseconds ago), and the smoothed round trip, its deviation, and the shortest one (microseconds).
_FROM, _TO, _INODE, _ATTRIBUTES = slice(8, 24), slice(24, 40), 68, 72
_SENT, _RECEIVED, _SHORTEST = 44, 52, 148
_TIMES = (68, 72, _SHORTEST)
_IN_USE_MS = 30_000
_ANSWER_S = 1.0


def round_trip_s(pids: Iterable[int]) -> float | None:
    """Give the lower median, over the hosts that these processes talk to, of the shortest round trip to each.

    With it a host is told by its own link: of one with a slow one most are long, of those that talk to it one is. None
    if they have talked to nobody else within half a minute. OSError if the kernel does not say.
    """
    own = {inode for pid in pids for inode in _sockets(pid)}
    shortest: dict[bytes, float] = {}
    for family in (socket.AF_INET, socket.AF_INET6) if own else ():
        for inode, address, seconds in _connections(family):
            if inode in own:
                shortest[address] = min(seconds, shortest.get(address, seconds))
    return sorted(shortest.values())[(len(shortest) - 1) // 2] if shortest else None


def _sockets(pid: int) -> Iterator[int]:
    """Give the inodes of the sockets that a process has open."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return  # it has ended, or is another user's
    for name in names:
        try:
            kind, _, inode = os.readlink(f"{folder}/{name}").partition(":[")
        except OSError:
            continue  # it was closed meanwhile
        if kind == "socket":
            yield int(inode.rstrip("]"))


def _connections(family: int) -> Iterator[tuple[int, bytes, float]]:
    """Give inode, address and round trip of each connection to another host that is in use."""
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, _WITH_INFO, 0, _ESTABLISHED)
    header = _HEADER.pack(_HEADER.size + len(question), _BY_FAMILY, _REQUEST_DUMP, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_ANSWER_S)
        kernel.sendto(header + question, (0, 0))
        while True:
            data, at = kernel.recv(65536), 0
            while at < len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind == _ERROR or length < _HEADER.size:
                    raise OSError("the kernel does not tell of connections")
                if found := read(data[at + _HEADER.size : at + length]):
                    yield found
                at += (length + 3) & ~3


def read(answer: bytes) -> tuple[int, bytes, float] | None:
    """Read what the kernel says of one connection; None if it is within this host, or was not in use lately."""
    if answer[_FROM] == answer[_TO]:
        return None
    (inode,) = _WORD.unpack_from(answer, _INODE)
    at = _ATTRIBUTES
    while at + _ATTRIBUTE.size <= len(answer):
        length, kind = _ATTRIBUTE.unpack_from(answer, at)
        info = answer[at + _ATTRIBUTE.size : at + length]
        if kind == _INFO and len(info) >= _SHORTEST + _WORD.size:
            sent, received = (_WORD.unpack_from(info, each)[0] for each in (_SENT, _RECEIVED))
            mean, deviation, shortest = (_WORD.unpack_from(info, each)[0] for each in _TIMES)
            if min(sent, received) > _IN_USE_MS or not 0 < shortest <= mean:
                return None
            return inode, answer[_TO], max(shortest, mean - 2 * deviation) / 1e6
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
