"""The login host's certificate, renewed in time; calls that are under way are not touched."""

import asyncio
from collections.abc import Callable

import structlog

from dlroverd.config.login import LoginConfig
from dlroverd.protocol.certificates import CertificateError
from dlroverd.protocol.errors import CallError
from dlroverd.trust import joining
from dlroverd.trust.renewal import Term, term_of

_RETRY_S = 60.0
_log = structlog.get_logger("dlroverd.login")


async def keep_renewed(config: LoginConfig, renewed: Callable[[], None]) -> None:
    """Renew whenever it is due, for ever; `renewed` is called each time it was."""
    said = ""
    files = config.tls.files()
    while True:
        pause_s = _RETRY_S
        try:
            term = await asyncio.to_thread(term_of, files.certificate)
            if term.is_due:
                await asyncio.to_thread(joining.renew, _address(config, term), files, config.name, lapsed=term.is_over)
                term, said = await asyncio.to_thread(term_of, files.certificate), ""
                renewed()
                _log.info("the certificate is renewed", certificate=files.certificate)
            pause_s = term.sleep_s()
        except (CertificateError, CallError, OSError) as error:
            problem = f"{files.certificate} could not be renewed ({error}); once it has ended nobody can call from here"
            if problem != said:
                _log.warning(problem)
            said = problem
        await asyncio.sleep(pause_s)


def _address(config: LoginConfig, term: Term) -> str:
    return config.join if term.is_over and config.join else config.daemon
