"""The life of the agent's process: arguments, logging, signals, systemd.

TERM and INT end the agent and leave every rank as it is; so does SIGKILL.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from dlroverd.config import log_lines
from dlroverd.config.agent import DEFAULT_PATH, AgentConfig, load_agent_config
from dlroverd.config.document import ConfigError
from dlroverd.protocol import notify
from dlroverd.protocol.certificates import CertificateError, check
from dlroverd.protocol.channel import AddressError
from dlroverd_agent import __version__
from dlroverd_agent.agent import Agent
from dlroverd_agent.devices.monitor import DeviceMonitor
from dlroverd_agent.facts import node_facts
from dlroverd_agent.launchers.interface import LauncherUnavailableError
from dlroverd_agent.state import StateError

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent until it is told to stop. 0: stopped; 1: cannot run here; 2: what was asked for is wrong."""
    options = _parser().parse_args(arguments)
    given = {key: value for key, value in vars(options).items() if key != "config" and value is not None}
    try:
        config = load_agent_config(options.config, given)
        log_lines.configure(config.log)
        asyncio.run(_serve(config))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (AddressError, CertificateError, LauncherUnavailableError, StateError, OSError) as error:
        sys.stderr.write(f"dlroverd-agent: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlroverd-agent",
        description="Starts and supervises the training ranks of this host, as the daemon wants them.",
        epilog="Options win over the configuration file.",
    )
    parser.add_argument("--config", metavar="FILE", help=f"the configuration (default: {DEFAULT_PATH})")
    parser.add_argument("--state-dir", metavar="DIR", help="where ranks' records and output are kept")
    parser.add_argument("--daemon", metavar="ADDRESS", action="append", help="where the daemon is; may be repeated")
    parser.add_argument("--node", metavar="NAME", help="the node's id in the fleet")
    parser.add_argument("--slots", metavar="N", help="ranks that fit at once")
    parser.add_argument("--version", action="version", version=f"dlroverd-agent {__version__}")
    return parser


async def _serve(config: AgentConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if config.tls:
        check(config.tls.files(), config.node)
    monitor = DeviceMonitor(config.device, Path(config.state_dir))
    agent = Agent(config, monitor)
    listing = asyncio.create_task(monitor.inventory())
    alive = await agent.recover()
    _log.info("ready", node=config.node, version=__version__, ranks_found_running=alive)
    notify.ready("ready")
    stopping = asyncio.create_task(stop.wait())
    undo = AsyncExitStack()
    try:
        await asyncio.wait({listing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            await _expose(agent, monitor, config, undo)
            await agent.run(await asyncio.to_thread(node_facts, config, listing.result()), stop)
    finally:
        listing.cancel()
        await undo.aclose()
        await monitor.close()
    notify.stopping()
    _log.info("stopped; ranks run on", node=config.node)


async def _expose(agent: Agent, devices: DeviceMonitor, config: AgentConfig, undo: AsyncExitStack) -> None:
    """Serve Prometheus, if asked to."""
    if config.metrics.listen is None:
        return
    from dlroverd_agent.monitors.exposition import Exposition  # noqa: PLC0415 - its library takes some megabytes

    endpoint = Exposition(agent, devices).endpoint
    await endpoint.open(config.metrics.listen, config.metrics.files(config.tls))
    undo.push_async_callback(endpoint.close)


if __name__ == "__main__":
    sys.exit(main())
