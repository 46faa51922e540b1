"""Whether a port of this host can be had for a rank's rendezvous store, or is served by now."""

import errno
import socket
from pathlib import Path

_LISTENS = "0A"  # include/net/tcp_states.h


def taken(port: int) -> bool:
    """Try to listen on every address as torch's store will; whether it cannot. OSError if that is not the reason."""
    family, address = (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the store does: closed connections of an earlier round are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return True
    return False


def served(port: int) -> bool:
    """Tell whether somebody listens on a port, without touching it. Blocking."""
    for name in ("tcp", "tcp6"):
        table = Path("/proc/net", name)
        for line in table.read_text(encoding="ascii").splitlines()[1:] if table.exists() else ():
            _, address, _, state, *_ = line.split()
            if state == _LISTENS and int(address.rpartition(":")[2], 16) == port:
                return True
    return False
