"""The life of the agent's process: arguments, logging, signals, systemd.

TERM and INT end the agent and leave every rank as it is; so does SIGKILL.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from dlroverd.config import log_lines
from dlroverd.config.agent import DEFAULT_PATH, AgentConfig
from dlroverd.config.document import ConfigError, Document, KeyPath
from dlroverd.config.validation import validate
from dlroverd.config.yaml_source import read_file
from dlroverd.model.node import Device
from dlroverd.protocol import notify
from dlroverd_agent import __version__
from dlroverd_agent.agent import Agent
from dlroverd_agent.devices import DevicesUnknownError, find_devices
from dlroverd_agent.facts import node_facts
from dlroverd_agent.launchers.interface import LauncherUnavailableError
from dlroverd_agent.state import StateError

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent until it is told to stop. 0: stopped; 1: cannot run here; 2: what was asked for is wrong."""
    try:
        config = _config(_parser().parse_args(arguments))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    log_lines.configure(config.log)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what matters of it is said in sentences of ours
    try:
        asyncio.run(_serve(config))
    except (LauncherUnavailableError, StateError, OSError) as error:
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


def _config(options: argparse.Namespace) -> AgentConfig:
    """Read the file and put the options over it, so that one check refuses what is wrong in either."""
    given = {key: value for key, value in vars(options).items() if key != "config" and value is not None}
    exists = options.config is not None or Path(DEFAULT_PATH).exists()
    file = read_file(options.config or DEFAULT_PATH) if exists else Document("command line")
    marks: dict[KeyPath, str] = {(key,): f"--{key.replace('_', '-')}" for key in given}
    return validate(Document(file.name, {**file.data, **given}, {**file.marks, **marks}), AgentConfig)


async def _serve(config: AgentConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent = Agent(config)
    devices = asyncio.create_task(_devices())
    alive = await agent.recover()
    _log.info("ready", node=config.node, version=__version__, ranks_found_running=alive)
    notify.ready("ready")
    await agent.run(node_facts(config, await devices), stop)
    notify.stopping()
    _log.info("stopped; ranks run on", node=config.node)


async def _devices() -> tuple[Device, ...]:
    try:
        return await find_devices()
    except DevicesUnknownError as error:
        _log.error(str(error))
        return ()


if __name__ == "__main__":
    sys.exit(main())
