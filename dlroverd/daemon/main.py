"""`dlroverd`: reads its options and configuration, and says in one sentence why it cannot start."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from dlroverd import __version__
from dlroverd.config import log_lines
from dlroverd.config.daemon import DEFAULT_PATH, DaemonConfig, load_daemon_config
from dlroverd.config.document import ConfigError
from dlroverd.daemon.service import serve
from dlroverd.protocol.certificates import CertificateError
from dlroverd.protocol.channel import AddressError
from dlroverd.store.interface import StoreError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it is told to stop; gives the exit status."""
    options = _parser().parse_args(argv)
    status = 0
    try:
        config = _configuration(options)
        log_lines.configure(config.log)
        asyncio.run(serve(config, lambda: _configuration(options)))
        gc.freeze()  # a large fleet's million objects: Python would look them through for garbage before it ends
    except* (
        ConfigError,
        AddressError,
        CertificateError,
        StoreError,
    ) as refused:  # from a task, it comes within a group
        for sentence in str(_first(refused)).splitlines():
            sys.stderr.write(f"dlroverd: {sentence}\n")
        status = 1
    return status


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dlroverd", description="Keeps distributed training alive on a fleet of hosts: the fleet's daemon."
    )
    parser.add_argument("--config", metavar="FILE", help=f"configuration (default {DEFAULT_PATH})")
    parser.add_argument("--state-dir", metavar="DIR", help="where the log is kept, instead of the configured one")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        action="append",
        help="serve here instead of the configured addresses, as unix:///path or tcp://HOST:PORT; may be given again",
    )
    parser.add_argument("--version", action="version", version=f"dlroverd {__version__}")
    return parser


def _configuration(options: argparse.Namespace) -> DaemonConfig:
    given: dict[str, object] = {}
    if options.state_dir:
        given["state_dir"] = str(Path(options.state_dir).absolute())
    if options.listen:
        given["listen"] = options.listen
    return load_daemon_config(options.config, given)


if __name__ == "__main__":
    sys.exit(main())
