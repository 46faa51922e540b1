"""What the agent says of its host at hello. May ask the name service: keep it off the event loop."""

import ipaddress
import os
import socket
import subprocess
from dataclasses import replace

import psutil

from dlroverd.config.agent import AgentConfig
from dlroverd.config.document import ConfigError
from dlroverd.model.node import Device, NodeFacts
from dlroverd.protocol.channel import host_port, is_tcp
from dlroverd_agent import __version__

_LOOPBACK = "127.0.0.1"
_ASK_SYSTEMD_S = 1.0


def node_facts(config: AgentConfig, devices: tuple[Device, ...]) -> NodeFacts:
    """Put together what is configured and what was found; ConfigError if the configured address is of no use."""
    cpus = len(os.sched_getaffinity(0))
    low, high = config.port_range
    addresses = (_LOOPBACK,) if config.address == "auto" else _configured(config)
    return NodeFacts(
        hostname=socket.gethostname(),
        address=addresses[0],
        cpus=cpus,
        memory_bytes=psutil.virtual_memory().total,
        slots=config.slots or len(devices) or cpus,
        devices=devices,
        port_low=low,
        port_high=high,
        agent_version=__version__,
        addresses=addresses,
        keeps_leases=True,
        makes_checkups=bool(config.checks),
        labels=config.labels,
    )


def with_addresses(facts: NodeFacts, config: AgentConfig, daemon: str) -> NodeFacts:
    """Put in the addresses that this host has now, the one by which it reaches the daemon at an address first.

    A daemon that is reached by unix sockets alone is on this host, and so is every rank of its worlds: the loopback
    address reaches them. The same holds on a host that has no other.
    """
    if config.address != "auto" or not any(map(is_tcp, config.daemon)):
        return facts
    used = _address_towards(daemon)
    found = sorted(_own_addresses(), key=lambda address: address != used) or [_LOOPBACK]
    return replace(facts, address=found[0], addresses=tuple(found))


def going_down() -> bool:
    """Tell whether systemd is shutting this host down."""
    try:
        asked = subprocess.run(
            ["systemctl", "is-system-running"], capture_output=True, timeout=_ASK_SYSTEMD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no systemd here, or none that answers
        return False
    return asked.stdout.strip() == b"stopping"


def _configured(config: AgentConfig) -> tuple[str, ...]:
    """Look the configured address up; an IP address is taken as it is written."""
    name = config.address
    try:
        found = dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        sentence = f"address: {name} cannot be looked up ({error}): write an IP address of this host, or auto"
        raise ConfigError([sentence]) from error
    if name in found or not any(map(is_tcp, config.daemon)):
        return tuple(found)
    local = next((address for address in found if ipaddress.ip_address(address.partition("%")[0]).is_loopback), "")
    if local:
        sentence = (
            f"address: {name} resolves to {local}, by which a host reaches only itself (a line in /etc/hosts?): "
            "write an IP address of this host that the other nodes reach, or auto"
        )
        raise ConfigError([sentence])
    return tuple(found)


def _own_addresses() -> list[str]:
    """List the addresses of interfaces that are up by which other hosts may reach this one."""
    up = {name for name, interface in psutil.net_if_stats().items() if interface.isup}
    return [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        if name in up
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6) and _is_global(entry.address)
    ]


def _is_global(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    return not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)


def _address_towards(daemon: str) -> str:
    """Ask the kernel from which address it would call the daemon; "" if it would not. No packet is sent."""
    if not is_tcp(daemon):
        return ""
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(*host_port(daemon), type=socket.SOCK_DGRAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(where)
                return str(probe.getsockname()[0])
    except (OSError, UnicodeError):  # no name service or no route: then the call itself fails and says so
        return ""
    return ""
