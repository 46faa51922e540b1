"""The network as this host sees it: names, and the interface by which others reach it."""

import ipaddress
import socket
from collections.abc import Callable

import psutil

from dlroverd.plugin_api import CheckContext, CheckVerdict, Figure
from dlroverd_agent.checkups.builtin.look import bad, ok


def names(_: CheckContext) -> CheckVerdict:
    """See that `localhost` is this host: torch's stores and many scripts take that for granted."""
    return of_names(socket.gethostname(), _addresses)


def of_names(own: str, addresses: Callable[[str], set[str]]) -> CheckVerdict:
    """Look at what `localhost` and a host's own name stand for; `addresses` raises OSError for what is not found."""
    try:
        found = addresses("localhost")
    except OSError as error:
        return bad(f"the name localhost cannot be looked up ({error.strerror}): put it into /etc/hosts")
    strange = [each for each in sorted(found) if not ipaddress.ip_address(each.partition("%")[0]).is_loopback]
    if strange:
        return bad(f"the name localhost is {strange[0]}, another host: correct /etc/hosts")
    try:
        addresses(own)
    except OSError:
        return ok(
            f"localhost is found; {own}, its own name, is not (gloo asks for it unless GLOO_SOCKET_IFNAME is set)"
        )
    return ok(f"localhost and {own} are found")


def interface(context: CheckContext) -> CheckVerdict:
    """See that the address by which others reach this node is on an interface that is up and loses nothing."""
    if not context.address:
        return ok("it has no address of its own; the daemon is on this host")
    name = _interface_of(context.address)
    if not name:
        return bad(f"no interface has {context.address}, by which other nodes reach this one: see `ip address`")
    stats = psutil.net_if_stats()[name]
    return of_interface(name, context.address, up=stats.isup, mbit=stats.speed)


def of_interface(name: str, address: str, *, up: bool, mbit: int) -> CheckVerdict:
    """Look at the interface that has an address; `mbit` is its speed, 0 if that is not known."""
    if not up:
        return bad(f"interface {name}, with {address}, is down: see its cable and `ip link`")
    figures = [Figure(name="interface_speed_mbit", value=mbit, worse="less")] if mbit else []
    speed = f" at {mbit} Mbit/s" if mbit else ""
    return ok(f"{address} is on interface {name}, which is up{speed}", *figures)


def _addresses(name: str) -> set[str]:
    return {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}


def _interface_of(address: str) -> str:
    wanted = ipaddress.ip_address(address.partition("%")[0])
    for name, entries in psutil.net_if_addrs().items():
        for each in entries:
            of_ip = each.family in (socket.AF_INET, socket.AF_INET6)
            if of_ip and ipaddress.ip_address(each.address.partition("%")[0]) == wanted:
                return name
    return ""
