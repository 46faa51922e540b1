"""What the agent says of its host at hello, read once at start."""

import os
import socket

import psutil

from dlroverd.config.agent import AgentConfig
from dlroverd.model.node import Device, NodeFacts
from dlroverd_agent import __version__


def node_facts(config: AgentConfig, devices: tuple[Device, ...]) -> NodeFacts:
    """Put together what is configured and what was found.

    A daemon that is reached by unix sockets alone is on this host, and so is every rank of its worlds: the
    loopback address reaches them.
    """
    cpus = len(os.sched_getaffinity(0))
    low, high = config.port_range
    return NodeFacts(
        hostname=socket.gethostname(),
        address="127.0.0.1" if config.address == "auto" else config.address,
        cpus=cpus,
        memory_bytes=psutil.virtual_memory().total,
        slots=config.slots or len(devices) or cpus,
        devices=devices,
        port_low=low,
        port_high=high,
        agent_version=__version__,
    )
