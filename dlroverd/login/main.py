"""The life of the login service's process: arguments, one server, signals, systemd."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from dlroverd import __version__
from dlroverd.api.identity_socket import serve_identities
from dlroverd.config import log_lines
from dlroverd.config.document import ConfigError
from dlroverd.config.login import DEFAULT_PATH, LoginConfig, load_login_config
from dlroverd.daemon import sockets
from dlroverd.login.relay import Relay
from dlroverd.login.renewal import keep_renewed
from dlroverd.model.roles import Role
from dlroverd.protocol import notify
from dlroverd.protocol.channel import AddressError, listen, new_server
from dlroverd.protocol.identity import identity_path
from dlroverd.trust.identity import Identities

IDENTITY_LIFE_S = 60.0
_GOODBYE_S = 0.5
_log = structlog.get_logger("dlroverd.login")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until told to stop. 0: stopped; 1: cannot serve here."""
    parser = argparse.ArgumentParser(
        prog="dlroverd-login", description="Lets the users of this login host call the fleet's daemon as themselves."
    )
    parser.add_argument("--config", metavar="FILE", help=f"configuration (default {DEFAULT_PATH})")
    parser.add_argument("--version", action="version", version=f"dlroverd-login {__version__}")
    options = parser.parse_args(argv)
    try:
        config = load_login_config(options.config)
        log_lines.configure(config.log)
        asyncio.run(serve(config))
    except (ConfigError, AddressError) as error:
        for sentence in str(error).splitlines():
            sys.stderr.write(f"dlroverd-login: {sentence}\n")
        return 1
    return 0


async def serve(config: LoginConfig) -> None:
    """Serve until TERM or INT. AddressError: a socket or a certificate file cannot be had."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sockets.prepare(config.listen)
    async with AsyncExitStack() as undo:
        # What the users may do is for the daemon to say.
        identities = Identities(lambda _name, _groups: Role.USER, IDENTITY_LIFE_S)
        relay = Relay(config.daemon, config.tls.files(), identities)
        undo.push_async_callback(relay.close)
        answering = await serve_identities(config.listen, identities)
        undo.callback(Path(identity_path(config.listen)).unlink, missing_ok=True)
        undo.callback(answering.close)
        server = new_server()
        server.add_generic_rpc_handlers((relay,))
        listen(server, config.listen)
        await server.start()
        undo.push_async_callback(server.stop, _GOODBYE_S)
        sockets.let_all_call(config.listen)
        undo.callback(asyncio.create_task(keep_renewed(config, relay.redial), name="renewal").cancel)
        _log.info("ready", daemon=config.daemon, listen=config.listen, version=__version__)
        notify.ready(f"calls {config.daemon} for the users of this host")
        await stop.wait()
        notify.stopping()


if __name__ == "__main__":
    sys.exit(main())
