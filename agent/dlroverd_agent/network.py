"""By which interface of this host another one is reached."""

import ipaddress
import socket

import psutil


def interface_towards(address: str, port: int) -> str:
    """Name the interface whose address this host speaks from to `address`, or that has `address` itself.

    "" for loopback, and where there is none to name: no route, an unknown name. May block while a name is looked up.
    No packet is sent.
    """
    try:
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)
            own = ipaddress.ip_address(probe.getsockname()[0])
    except OSError:
        return ""
    if own.is_loopback:
        return ""
    for name, found in psutil.net_if_addrs().items():
        for each in found:
            if each.family == family and ipaddress.ip_address(each.address.partition("%")[0]) == own:
                return name
    return ""
