"""The agent's configuration: what /etc/dlroverd/agent.yaml may hold."""

import re
import socket
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from dlroverd.config.daemon import DEFAULT_ADDRESS, Address, LogConfig
from dlroverd.config.durations import shown
from dlroverd.config.schema import MAX_COUNT, AbsolutePath, Duration, Section, limit, setting
from dlroverd.config.validation import load
from dlroverd.model.node import NodeFacts

DEFAULT_PATH = "/etc/dlroverd/agent.yaml"
_FACTS = NodeFacts(hostname="", address="", cpus=0, memory_bytes=0, slots=0)


def _slots(value: object) -> int | None:
    if value is None or value == "auto":
        return None
    if isinstance(value, str | int) and re.fullmatch(r"[1-9]\d{0,6}", str(value)) and int(value) <= MAX_COUNT:
        return int(value)
    raise ValueError(f"must be auto or a number of ranks from 1, not {shown(value)}")


def _ports(value: object) -> tuple[int, int]:
    if isinstance(value, tuple):
        low, high = value
    else:
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", str(value))
        low, high = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1024 <= low <= high <= 65535:
        raise ValueError(f"must be LOW-HIGH within 1024-65535, such as 20000-29999, not {shown(value)}")
    return low, high


Slots = Annotated[
    int | None,
    BeforeValidator(_slots),
    PlainSerializer(lambda slots: slots or "auto", when_used="json"),
    WithJsonSchema({"type": ["string", "integer"]}),
]
PortRange = Annotated[
    tuple[int, int],
    BeforeValidator(_ports),
    PlainSerializer(lambda ports: f"{ports[0]}-{ports[1]}", when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+-\d+$"}),
]


class AgentConfig(Section):
    """The whole file."""

    node: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=253,  # the longest name DNS has, RFC 1035
        description="the node's id in the fleet; the host's name when left out",
        examples=["gpu07"],
    )
    daemon: list[Address] = Field(
        [DEFAULT_ADDRESS],
        min_length=1,
        description="where the daemon is found, tried in turn",
        examples=[f"[{DEFAULT_ADDRESS}]"],
    )
    state_dir: AbsolutePath = setting(
        "/var/lib/dlroverd-agent",
        "where ranks' records and output are kept",
        example="/var/lib/dlroverd-agent",
    )
    slots: Slots = setting(None, "ranks that fit at once; auto is one a device, else one a CPU", example="8")
    address: str = setting("auto", "where other nodes reach this one; auto finds it", example="10.0.0.7")
    port_range: PortRange = setting(
        (_FACTS.port_low, _FACTS.port_high),
        "where MASTER_PORT is taken from; keep it below the kernel's ephemeral ports",
        example="20000-29999",
    )
    log_retention: Duration = limit(
        604800.0,
        "how long the output of ranks that are gone is kept",
        fires="that output is deleted; `logs` shows the gap",
        example="7d",
    )
    log: LogConfig = setting(LogConfig(), "the agent's own log lines", example="{format: json}")


def load_agent_config(path: str | None = None) -> AgentConfig:
    """Read the agent's configuration; ConfigError if it cannot be used. See `validation.load`."""
    return load(AgentConfig, path, DEFAULT_PATH)
