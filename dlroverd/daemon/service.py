"""One life of the daemon: everything opened in order, served, and closed in order."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import structlog

from dlroverd import __version__
from dlroverd.api.authorisation import LocalCallers
from dlroverd.api.identity_socket import serve_identities
from dlroverd.api.server import Doors, build
from dlroverd.api.vouched import NetworkCallers
from dlroverd.config.daemon import DaemonConfig
from dlroverd.config.roles import RolesConfig
from dlroverd.config.schema import settings
from dlroverd.config.signals import load_signals
from dlroverd.config.sinks import SinkConfig
from dlroverd.config.topology import load_topology
from dlroverd.daemon import sockets
from dlroverd.daemon.certificate import keep_renewed
from dlroverd.daemon.reload import Reload
from dlroverd.model.input import StateRestored, TopologySet
from dlroverd.model.limits import Limits
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.protocol import notify
from dlroverd.protocol.certificates import check, date_problem
from dlroverd.protocol.channel import DAEMON_NAME, is_tcp
from dlroverd.protocol.identity import identity_path
from dlroverd.protocol.messages import DaemonInfo
from dlroverd.runtime.inbox import Entry, closing
from dlroverd.runtime.routing import Route, Selection
from dlroverd.runtime.runtime import Runtime, Settings
from dlroverd.runtime.sinks import SinkSettings
from dlroverd.store.sqlite import SqliteStore
from dlroverd.trust.authority import Authority
from dlroverd.trust.identity import Identities

# How long calls may take to end when the daemon stops: their clients and agents ask the next one.
_GOODBYE_S = 0.5
_LOG = structlog.get_logger("dlroverd.daemon")


async def serve(config: DaemonConfig, again: Callable[[], DaemonConfig]) -> None:
    """Serve until TERM or INT; ranks run on. `again` reads the configuration anew, at HUP.

    Raises:
        AddressError: a socket cannot be had.
        ConfigError: the topology file, or that of signals, cannot be used.
        CertificateError: its certificate files cannot work.
        StoreError: the log cannot be used, or its disk failed.
    """
    authority = _check_certificate(config)
    topology = load_topology(config.topology)
    for address in _local(config):
        sockets.prepare(address)
    store = SqliteStore(Path(config.state_dir), reserve_bytes=config.store.reserve)
    async with AsyncExitStack() as undo:
        undo.callback(store.close)
        # What is known of a large fleet is a million objects that stay. By Python's own thresholds a fifth of the time
        # in which a world forms would go into looking them through for garbage, which there is none of to speak of.
        # What is new is looked through often enough that it never takes more than a tenth of a second.
        gc.set_threshold(100_000, 2, 500)
        watchdog = _Watchdog()
        runtime = Runtime(store, PluginHost(plugins(config)), _settings(config), watchdog.turned)
        undo.pop_all()
        undo.push_async_callback(runtime.close)
        _take_lineage(runtime, store)
        _take_topology(runtime, topology)
        identities = Identities(config.roles.of, config.trust.identity_life)
        doors = Doors(*await _know_callers(runtime, config, identities, undo), authority)
        for server in build(runtime, config, _informer(runtime, config), doors):
            await server.start()
            undo.push_async_callback(server.stop, _GOODBYE_S)
        for address in filter(sockets.is_open, _local(config)):
            sockets.let_all_call(address)
        await _expose(runtime, config, undo)
        if authority is not None and config.tls is not None:
            renewing = keep_renewed(authority, config.tls.files(), config.trust.certificate_life)
            undo.callback(asyncio.create_task(renewing, name="certificate").cancel)
        undo.callback(runtime.sessions.end_all, closing())
        undo.callback(notify.stopping)
        _hear_signals(runtime, config, again, identities)
        _LOG.info(
            "dlroverd serves",
            version=__version__,
            listen=config.listen,
            log_id=store.log_id,
            position=runtime.journal.position,
        )
        notify.ready(f"serving on {', '.join(config.listen)}")
        await runtime.run()
        _LOG.info("dlroverd stops; ranks run on")


def _hear_signals(
    runtime: Runtime, config: DaemonConfig, again: Callable[[], DaemonConfig], identities: Identities
) -> None:
    def take(limits: Limits, topology: TopologySet, roles: RolesConfig) -> None:
        identities.judge_by(roles.of)
        runtime.decide_by(limits)
        _take_topology(runtime, topology)

    reload = Reload(config, again, _limits, take)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload.read)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, runtime.stop)


def _local(config: DaemonConfig) -> list[str]:
    return [address for address in config.listen if not is_tcp(address)]


async def _know_callers(
    runtime: Runtime, config: DaemonConfig, identities: Identities, undo: AsyncExitStack
) -> tuple[LocalCallers, NetworkCallers]:
    """Tell local callers who they are, and let them in as that.

    Where all sockets are in folders of the daemon's user alone, who calls without a token is that user, or root.
    """
    addresses = _local(config)
    for address in addresses:
        server = await serve_identities(address, identities)
        undo.callback(Path(identity_path(address)).unlink, missing_ok=True)
        undo.callback(server.close)
    shared = any(map(sockets.is_open, addresses))
    alone = None if shared else identities.caller(os.geteuid(), os.getegid())
    return LocalCallers(identities, runtime.owner_of, alone), NetworkCallers(identities, runtime)


async def _expose(runtime: Runtime, config: DaemonConfig, undo: AsyncExitStack) -> None:
    """Serve Prometheus, if asked to."""
    if config.metrics.listen is None:
        return
    from dlroverd.daemon.metrics import Exposition  # noqa: PLC0415 - its library takes some megabytes

    exposition = Exposition(runtime)
    await exposition.endpoint.open(config.metrics.listen, config.metrics.files(config.tls))
    undo.push_async_callback(exposition.endpoint.close)
    undo.callback(asyncio.create_task(exposition.watch_loop(), name="loop lag").cancel)


def _check_certificate(config: DaemonConfig) -> Authority | None:
    """Refuse files that cannot work; gives the authority, if its key is here.

    Dates pass, or the clock is set right: they end the start of no daemon. One that can renews its certificate first.
    """
    if config.tls is None:
        return None
    files = config.tls.files()
    authority = Authority.load(files.ca, config.tls.ca_key) if config.tls.ca_key else None
    check(files, DAEMON_NAME)
    if authority is None and (problem := date_problem(files)):
        _LOG.error(f"agents will not trust this daemon: {problem}")
    return authority


def _take_lineage(runtime: Runtime, store: SqliteStore) -> None:
    """Before any agent is heard: those that followed the logs before this one are taken in as they say hello."""
    lineage = store.lineage
    if lineage.ancestors:
        runtime.inbox.put(Entry(StateRestored(ancestors=lineage.ancestors, taken_at=lineage.taken_at)))


def _take_topology(runtime: Runtime, topology: TopologySet) -> None:
    runtime.inbox.put(Entry(topology))
    strangers = [each.node for each in topology.nodes if each.node not in runtime.state.nodes]
    if strangers:
        _LOG.warning(
            f"the topology file names {len(strangers)} nodes that have not joined yet, such as {strangers[0]}; "
            "if they should have, compare the names with `dlroverctl node list`"
        )


def plugins(config: DaemonConfig) -> list[PluginConfig]:
    """Give the plugins to run: one of each that is enabled, and where it is a sink, one for each of those."""
    sinks = [
        PluginConfig(
            name=sink.label,
            plugin=sink.plugin,
            settings={**config.plugin_settings.get(sink.plugin, {}), **sink.settings},
        )
        for sink in config.sinks
    ]
    used = {sink.plugin for sink in config.sinks}
    others = [
        PluginConfig(name=name, settings=config.plugin_settings.get(name, {}))
        for name in config.plugins
        if name not in used
    ]
    return [*others, *sinks]


def _settings(config: DaemonConfig) -> Settings:
    return Settings(
        output_dir=Path(config.state_dir) / "output",
        output_bytes=config.output_limit,
        limits=_limits(config),
        scheduler=config.scheduler,
        letters_dir=Path(config.state_dir) / "dead-letters",
        sinks=[_sink(sink) for sink in config.sinks],
        redact=config.redact,
        snapshot_every=config.store.snapshot_every,
        keep_records=config.store.keep_records,
        telemetry_bytes=config.telemetry_limit,
        keep_for_sinks=config.store.keep_for_sinks,
    )


def _limits(config: DaemonConfig) -> Limits:
    # A daemon of root's own, as in a container: whoever gets to its sockets is root already.
    own = os.geteuid() == 0 and not any(map(sockets.is_open, _local(config)))
    takes_root = own if config.allow_root is None else config.allow_root
    return replace(config.core_limits(), root_jobs=takes_root, signals=load_signals(config.signals))


def _sink(config: SinkConfig) -> SinkSettings:
    only, skip = (
        Selection(
            names=tuple(each.names),
            severity=each.severity.value,
            jobs=tuple(each.jobs),
            kinds=tuple(kind.value for kind in each.kinds),
        )
        for each in (config.only, config.skip)
    )
    return SinkSettings(name=config.label, plugin=config.plugin, start=config.start, route=Route(only=only, skip=skip))


def _informer(runtime: Runtime, config: DaemonConfig) -> Callable[[], DaemonInfo]:
    started_s = time.monotonic()
    # What plugins are told may be secret, and so may what is to be hidden.
    secret = ("plugin_settings", "sinks", "redact")
    shown = {item.key: str(item.value) for item in settings(config) if item.key not in secret}

    def info() -> DaemonInfo:
        return DaemonInfo(
            version=__version__,
            log_id=runtime.state.log_id,
            position=runtime.journal.position,
            uptime_s=time.monotonic() - started_s,
            storage_low=runtime.journal.low or bool(runtime.journal.full),
            settings=shown,
        )

    return info


class _Watchdog:
    """Feeds systemd's watchdog from the loop's turns, no more often than needed."""

    def __init__(self) -> None:
        self._period_s = (notify.watchdog_s() or float("inf")) / 4
        self._fed_at_s = time.monotonic()

    def turned(self) -> None:
        now_s = time.monotonic()
        if now_s - self._fed_at_s >= self._period_s:
            self._fed_at_s = now_s
            notify.alive()
