"""The agent's configuration: what /etc/dlroverd/agent.yaml may hold."""

import re
import socket
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from dlroverd.config.daemon import DEFAULT_ADDRESS, LogConfig
from dlroverd.config.durations import format_duration, shown
from dlroverd.config.metrics import MetricsConfig
from dlroverd.config.schema import MAX_COUNT, AbsolutePath, Duration, Section, Size, limit, setting
from dlroverd.config.tls import Address, TlsConfig, need_tls
from dlroverd.config.validation import load
from dlroverd.model.constraints import DEVICE, LABEL_NAME
from dlroverd.model.node import NodeFacts
from dlroverd.protocol.channel import JOIN_PORT, host_port

DEFAULT_PATH = "/etc/dlroverd/agent.yaml"
PEER_PORT = 7711
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


def _fleet(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]{1,16}", value):
        raise ValueError(f"must be 1 to 16 of a-z and 0-9, for it is part of units' names, unlike {shown(value)}")
    return value


def _monitor_interval(value: float) -> float:
    if 0.0 < value < 1.0:
        raise ValueError(f"must be at least 1s, or 0 to read nothing, not {format_duration(value)}")
    return value


def _label(value: str) -> str:
    if value == DEVICE:
        raise ValueError(f"{DEVICE} is no name for a label: jobs ask for devices' models by it; choose another")
    if not re.fullmatch(LABEL_NAME, value):
        raise ValueError(
            f"a label's name is 1 to 63 letters, digits, '.', '_', '/' and '-', such as gpu, unlike {shown(value)}"
        )
    return value


def _peer_listen(value: str) -> str:
    if value not in ("auto", "none"):
        host_port(value)
    return value


LabelValue = Annotated[str, BeforeValidator(lambda value: value or "")]
LabelName = Annotated[str, AfterValidator(_label)]
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
    join: Address | None = setting(
        None,
        "the daemon's join address, where a certificate is renewed that has ended while the daemon was away",
        example=f"tcp://gpu00:{JOIN_PORT}",
    )
    tls: TlsConfig | None = setting(
        None, "the certificate files of mutual TLS", example="{ca: PATH, certificate: PATH, key: PATH}"
    )
    fleet: Annotated[str, AfterValidator(_fleet)] = setting(
        "main", "the fleet's short name, which is part of the names of ranks' units", example="main"
    )
    launcher: Literal["auto", "systemd", "process"] = setting(
        "auto", "what starts ranks; auto is systemd where that runs the host and the agent is root", example="systemd"
    )
    peer_listen: Annotated[str, AfterValidator(_peer_listen)] = setting(
        "auto",
        f"where agents of other nodes call this one; auto is port {PEER_PORT} on every address, or none without tls",
        example=f"tcp://10.0.0.7:{PEER_PORT}",
    )
    state_dir: AbsolutePath = setting(
        "/var/lib/dlroverd-agent",
        "where ranks' records and output are kept",
        example="/var/lib/dlroverd-agent",
    )
    run_dir: AbsolutePath = setting(
        "/run/dlroverd-agent",
        "where ranks write their events and find checkpoint memory, on tmpfs; below state_dir if it cannot be used",
        example="/run/dlroverd-agent",
    )
    event_spool: Annotated[Size, Field(ge=1024**2)] = setting(
        256 * 1024**2,
        "how much of ranks' events is kept while the daemon is away; then new ones are dropped and counted, those that "
        "matter least first",
        example="256MiB",
    )
    slots: Slots = setting(None, "ranks that fit at once; auto is one a device, else one a CPU", example="8")
    device: str = setting(
        "auto",
        "the plugin that reads this host's accelerators; auto is nvidia where its driver is loaded, else none",
        example="nvidia",
    )
    checks: list[str] = setting(
        ["instant_checks", "light_checks"],
        "the plugins whose node checks are made here (docs/checks.md); an empty list makes none",
        example="[instant_checks, acme_checks]",
    )
    check_python: AbsolutePath | None = setting(
        None,
        "the interpreter that light checks find torch in, when they are made for no job; the agent's own when left out",
        example="/opt/torch/bin/python",
    )
    labels: dict[LabelName, LabelValue] = setting(
        {}, "what jobs may ask for in a node, by `require`; a feature has no value", example="{gpu: h100, ssd: }"
    )
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
    away: Duration = limit(
        60.0,
        "how long an orderly stop of the agent may last, at most 10m counts; none is announced when the host goes down",
        fires="the node counts as silent, as after `unreachable_after` without an announcement",
        example="60s",
    )
    survey_interval: Duration = limit(
        60.0,
        "how long between two surveys of what really runs on the host",
        fires="what differs from the agent's records is mended, and is an event (docs/self-repair.md)",
        example="60s",
        gt=0,
    )
    monitor_interval: Annotated[Duration, AfterValidator(_monitor_interval)] = limit(
        15.0,
        "how long between two readings of the host, its devices and ranks (docs/metrics.md); 0 reads nothing",
        fires="new readings take the place of those before in `node show`, `job status` and for Prometheus",
        example="15s",
    )
    metrics: MetricsConfig = setting(
        MetricsConfig(), "the Prometheus endpoint; none when left out", example="{listen: tcp://127.0.0.1:9791}"
    )
    log_limit: Size = setting(
        1024**3,
        "how much of a rank's output is kept; what is older is let go, and `logs` shows the gap",
        example="1GiB",
    )
    log: LogConfig = setting(LogConfig(), "the agent's own log lines", example="{format: json}")

    @model_validator(mode="after")
    def _tcp_is_safe(self) -> Self:
        need_tls("daemon", self.daemon, self.tls)
        need_tls("peer_listen", [self.peer_listen], self.tls)
        self.metrics.need_tls(self.tls)
        return self

    @property
    def peer_address(self) -> str:
        """Where the agent serves those of other nodes; "" if it does not."""
        match self.peer_listen:
            case "auto":
                return f"tcp://[::]:{PEER_PORT}" if self.tls else ""
            case "none":
                return ""
        return self.peer_listen


def load_agent_config(path: str | None = None, options: Mapping[str, object] | None = None) -> AgentConfig:
    """Read the agent's configuration; ConfigError if it cannot be used. See `validation.load`."""
    return load(AgentConfig, path, DEFAULT_PATH, options)
