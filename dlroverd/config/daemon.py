"""The daemon's configuration: what /etc/dlroverd/dlroverd.yaml may hold."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from dlroverd.config.automation import AutomationConfig
from dlroverd.config.checks import ChecksConfig
from dlroverd.config.diagnosis import DiagnosisConfig
from dlroverd.config.durations import format_duration
from dlroverd.config.hangs import HangsConfig
from dlroverd.config.metrics import MetricsConfig
from dlroverd.config.roles import RolesConfig
from dlroverd.config.scheduling import SchedulingConfig
from dlroverd.config.schema import AbsolutePath, Count, Duration, Section, Size, limit, setting
from dlroverd.config.sinks import Pattern, SinkConfig
from dlroverd.config.tls import Address, DaemonTlsConfig, need_tls
from dlroverd.config.trust import TrustConfig
from dlroverd.config.validation import load
from dlroverd.model.limits import REQUESTS_KNOWN_S, Limits
from dlroverd.protocol.channel import JOIN_PORT, host_port, is_tcp

DEFAULT_PATH = "/etc/dlroverd/dlroverd.yaml"
DEFAULT_ADDRESS = "unix:///run/dlroverd/dlroverd.sock"
_LIMITS = Limits()
# Each is only meaningful while longer than the one before it.
_RISING = ("unreachable_after", "lost_after", "unreachable_limit")


class LimitsConfig(Section):
    """The core's limits, `model.Limits` without the unit in the name."""

    unreachable_after: Duration = limit(
        _LIMITS.unreachable_after_s,
        "silence of a node until it is called unreachable",
        fires="the node is shown as unreachable and nothing new is placed there; its ranks are left alone",
        example="5s",
        gt=0,
    )
    lost_by_peers: Duration = limit(
        _LIMITS.lost_by_peers_s,
        "silence of a node until it is lost, given two other agents that cannot reach it either",
        fires="the node is lost and its jobs are placed elsewhere, if two agents cannot reach it and none can",
        example="8s",
    )
    lost_after: Duration = limit(
        _LIMITS.lost_after_s,
        "silence of a node until it is lost, given a second sign (its ranks' peers failed, an agent cannot reach it)",
        fires="the node is lost and its jobs are placed elsewhere, if a second sign agrees",
        example="15s",
    )
    unreachable_limit: Duration = limit(
        _LIMITS.unreachable_limit_s,
        "silence of a node until it is lost without a second sign",
        fires="the node is lost; jobs with ranks elsewhere go on without it, one wholly on it waits",
        example="10m",
    )
    lease_margin: Duration = limit(
        _LIMITS.lease_margin_s,
        "silence of a node beyond the lease of its ranks (`fence: lease`) until they count as ended",
        fires="the ranks count as gone, and their job goes on elsewhere",
        example="5s",
        gt=0,
    )
    settle: Duration = limit(
        _LIMITS.settle_s,
        "how close together nodes that share a switch, a PDU or a mount fall silent for one reason",
        fires="no more of them are waited for, and their jobs start anew",
        example="5s",
        gt=0,
    )
    domain_avoid: Duration = limit(
        _LIMITS.domain_avoid_s,
        "how long after that nothing is placed on what is left, if half of those that share it is silent",
        fires="the nodes that are left are used again",
        example="1m",
        gt=0,
    )
    placing: Duration = limit(
        _LIMITS.placing_s,
        "how long the scheduler plugin may take to answer",
        fires="the built-in rule places the job instead",
        example="2s",
        gt=0,
    )
    grow_settle: Duration = limit(
        _LIMITS.grow_settle_s,
        "how long free nodes must be seen before a job that may have more takes them",
        fires="the job plans to take them, at its next checkpoint or as its `grow` says",
        example="30s",
    )
    grow_cooldown: Duration = limit(
        _LIMITS.grow_cooldown_s,
        "how long a world runs before its job may take more nodes, and between two looks for some",
        fires="the job is held against what is free",
        example="5m",
        gt=0,
    )
    checkpoint_wait: Duration = limit(
        _LIMITS.checkpoint_wait_s,
        "how long a planned stop waits for the next checkpoint of a job that tells of them",
        fires="the job is stopped without one: its ranks get TERM and preempt_grace",
        example="10m",
    )
    avoid: Duration = limit(
        _LIMITS.avoid_s,
        "how long a job is not placed on a node on which its ranks could not be started",
        fires="the job may be placed there again",
        example="10m",
        gt=0,
    )
    stop_margin: Duration = limit(
        _LIMITS.stop_margin_s,
        "how long beyond its grace a stop may take to be verified",
        fires="the stop is reported as stuck, with the node and the ranks that are still there",
        example="30s",
        gt=0,
    )
    review: Duration = limit(
        _LIMITS.review_s,
        "how often a job that runs without a time limit is noted",
        fires="an event says that the job is still running; nothing else happens",
        example="24h",
        gt=0,
    )
    evidence: Duration = limit(
        _LIMITS.evidence_s,
        "how long the survivors of a fault may take to say why they fail",
        fires="survivors that said nothing are sent TERM",
        example="500ms",
    )
    audit_interval: Duration = limit(
        _LIMITS.audit_interval_s,
        "how long between two audits of a connected node",
        fires="it is told all that it should run and tells all that it sees; a difference is mended and is an event",
        example="5m",
        gt=0,
    )
    job_retention: Duration = limit(
        _LIMITS.job_retention_s,
        "how long a finished job is kept in the state",
        fires="the job leaves `job list`; its events stay in the log",
        example="7d",
    )
    max_jobs: Count = limit(
        _LIMITS.max_jobs,
        "how many unfinished jobs there may be",
        fires="a submit is refused until a job has finished",
        example="10000",
        gt=0,
    )

    @field_validator(*_RISING[1:])
    @classmethod
    def _rises(cls, value: float, info: ValidationInfo) -> float:
        before = _RISING[_RISING.index(info.field_name or "") - 1]
        lower = info.data.get(before)
        if lower is not None and value <= lower:
            raise ValueError(
                f"{format_duration(value)} must be longer than {before}, which is {format_duration(lower)}"
            )
        return value

    @field_validator("job_retention")
    @classmethod
    def _outlasts_clients(cls, value: float) -> float:
        if value < REQUESTS_KNOWN_S:
            raise ValueError(
                f"{format_duration(value)} must be at least {format_duration(REQUESTS_KNOWN_S)}: a client whose answer "
                "was lost may ask for its job again that long, and would be given a second one"
            )
        return value

    @model_validator(mode="after")
    def _peers_in_between(self) -> Self:
        """Only where it is set: a configuration that was good before this limit existed stays so."""
        if "lost_by_peers" in self.model_fields_set and not (
            self.unreachable_after < self.lost_by_peers <= self.lost_after
        ):
            raise ValueError(
                f"lost_by_peers: {format_duration(self.lost_by_peers)} must be longer than unreachable_after, which is "
                f"{format_duration(self.unreachable_after)}, and at most lost_after, "
                f"{format_duration(self.lost_after)}"
            )
        return self

    def to_model(self) -> Limits:
        """Give the limits as the core takes them; `lost_by_peers`, where it is not set, fits between its neighbours."""
        in_core = {key if key == "max_jobs" else f"{key}_s": value for key, value in self}
        limits = Limits(**in_core)
        fitting = min(max(limits.lost_by_peers_s, limits.unreachable_after_s), limits.lost_after_s)
        return replace(limits, lost_by_peers_s=fitting)


class LogConfig(Section):
    """What the process writes of itself."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "the least serious lines that are written", example="info"
    )
    format: Literal["console", "json"] = setting("console", "lines for people or for machines", example="json")


class StoreConfig(Section):
    """How the durable log is kept."""

    reserve: Size = setting(
        64 * 1024 * 1024, "space held back so that recovery goes on when the disk is full", example="64MiB"
    )
    snapshot_every: Count = setting(10_000, "log records between two snapshots of the state", example="10000")
    keep_records: Count = setting(
        100_000, "log records kept behind the newest snapshot, for `event list`", example="100000"
    )
    keep_for_sinks: Count = setting(
        1_000_000,
        "log records kept at most for sinks that have not taken them; a sink that is further behind loses the oldest",
        example="1000000",
    )


def _join_listen(value: str) -> str:
    if value not in ("auto", "none"):
        host_port(value)
    return value


class DaemonConfig(Section):
    """The whole file."""

    state_dir: AbsolutePath = setting(
        "/var/lib/dlroverd", "where the log and its snapshots are kept", example="/var/lib/dlroverd"
    )
    listen: list[Address] = Field(
        [DEFAULT_ADDRESS],
        min_length=1,
        description="where to serve: unix:///path, and tcp://HOST:PORT for agents alone, with tls",
        examples=[f"[{DEFAULT_ADDRESS}]"],
    )
    join_listen: Annotated[str, AfterValidator(_join_listen)] = setting(
        "auto",
        "where hosts join by tokens and lapsed certificates are renewed; auto is port "
        f"{JOIN_PORT} beside the first tcp:// of listen where tls has a ca_key, or none",
        example=f"tcp://0.0.0.0:{JOIN_PORT}",
    )
    tls: DaemonTlsConfig | None = setting(
        None, "the certificate files of mutual TLS", example="{ca: PATH, certificate: PATH, key: PATH}"
    )
    roles: RolesConfig = setting(
        RolesConfig(), "who may do what (docs/trust.md)", example="{operator: [ann, '%ops'], others: viewer}"
    )
    trust: TrustConfig = setting(
        TrustConfig(), "how long what proves an identity is good", example="{certificate_life: 30d}"
    )
    plugins: list[str] = setting(
        ["fifo", "slow_link", "straggler"],
        "the plugins that are loaded beside those of the sinks",
        example="[fifo, straggler]",
    )
    plugin_settings: dict[str, dict[str, str]] = setting({}, "settings by plugin", example="{fifo: {}}")
    scheduler: str = setting("fifo", "the plugin that places jobs", example="fifo")
    topology: AbsolutePath | None = setting(
        None,
        "the file that says which nodes share a rack, a switch and so on (see docs/placement.md); read at start",
        example="/etc/dlroverd/topology.yaml",
    )
    sinks: list[SinkConfig] = setting([], "where events are sent", example="[{plugin: file}]")
    redact: list[Pattern] = setting(
        [],
        "texts that no reader of events is shown, beside what looks like a secret by itself; one with * is hidden with "
        "the word around it",
        example="[acme-*, tiger4]",
    )
    limits: LimitsConfig = setting(LimitsConfig(), "time limits and bounds", example="{lost_after: 15s}")
    scheduling: SchedulingConfig = setting(
        SchedulingConfig(), "quotas, preemption and nodes kept back", example="{spare_nodes: 2}"
    )
    allow_root: bool | None = setting(
        None,
        "whether jobs may run as root; when left out, only where the daemon is root's own, and nobody else gets to its "
        "sockets (a container, run --standalone)",
        example="false",
    )
    automation: AutomationConfig = setting(
        AutomationConfig(), "what is done to nodes by itself", example="{quarantine: advise}"
    )
    checks: ChecksConfig = setting(
        ChecksConfig(), "when nodes are checked by themselves (see docs/checks.md)", example="{interval: 1h}"
    )
    diagnosis: DiagnosisConfig = setting(
        DiagnosisConfig(), "the rules that look for what ails jobs", example="{stages: {straggler: act}}"
    )
    signals: AbsolutePath | None = setting(
        None,
        "the file with rows of your own in the table of signals (see docs/signals.md); read at start and on SIGHUP",
        example="/etc/dlroverd/signals.yaml",
    )
    hangs: HangsConfig = setting(
        HangsConfig(), "how gangs that make no step are found, and what follows", example="{stage: act}"
    )
    store: StoreConfig = setting(StoreConfig(), "the durable log", example="{reserve: 64MiB}")
    output_limit: Size = setting(
        1024**3,
        "how much of ranks' newest output is held for when their node is away; about 1 MiB of each rank at most",
        example="1GiB",
    )
    telemetry_limit: Size = setting(
        2 * 1024**3,
        "how much memory the fleet's readings may take (docs/metrics.md); the oldest give way, then none is added",
        example="2GiB",
    )
    metrics: MetricsConfig = setting(
        MetricsConfig(), "the Prometheus endpoint; none when left out", example="{listen: tcp://127.0.0.1:9790}"
    )
    log: LogConfig = setting(LogConfig(), "the daemon's own log lines", example="{format: json}")

    def core_limits(self) -> Limits:
        """Give all that the core decides by."""
        return replace(
            self.limits.to_model(),
            quotas=self.scheduling.quotas_model(),
            preemption=self.scheduling.preemption,
            preempt_cooldown_s=self.scheduling.preempt_cooldown,
            spare_nodes=self.scheduling.spare_nodes,
            automation=self.automation.to_model(),
            checks=self.checks.to_model(),
            diagnosis=self.diagnosis.to_model(),
            hangs=self.hangs.to_model(),
        )

    @property
    def join_address(self) -> str:
        """Where hosts join; "" if they cannot."""
        if self.tls is None or self.tls.ca_key is None or self.join_listen == "none":
            return ""
        if self.join_listen != "auto":
            return self.join_listen
        host = next((host_port(address)[0] for address in self.listen if is_tcp(address)), "")
        return f"tcp://{f'[{host}]' if ':' in host else host}:{JOIN_PORT}" if host else ""

    @model_validator(mode="after")
    def _tcp_is_safe(self) -> Self:
        need_tls("listen", self.listen, self.tls)
        if self.join_listen not in ("auto", "none") and (self.tls is None or self.tls.ca_key is None):
            raise ValueError("join_listen is for a daemon that issues certificates: set ca_key under tls, or drop it")
        self.metrics.need_tls(self.tls)
        return self

    @model_validator(mode="after")
    def _plugins_agree(self) -> Self:
        """Whatever names a plugin names one that is loaded, and each that is loaded has a name of its own."""
        loaded = [*self.plugins, *(sink.label for sink in self.sinks)]
        for name in loaded:
            if loaded.count(name) > 1:
                raise ValueError(f"two of plugins and sinks are named '{name}'; drop one, or give a sink another name")
        for key, names in (
            ("scheduler", [self.scheduler]),
            ("plugin_settings", self.plugin_settings),
            ("diagnosis.stages", self.diagnosis.stages),
        ):
            for name in names:
                if name not in self.plugins:
                    raise ValueError(f"{key} names the plugin '{name}', which plugins does not list; add it there")
        return self


def load_daemon_config(path: str | None = None, options: Mapping[str, object] | None = None) -> DaemonConfig:
    """Read the daemon's configuration; ConfigError if it cannot be used. See `validation.load`."""
    return load(DaemonConfig, path, DEFAULT_PATH, options)
