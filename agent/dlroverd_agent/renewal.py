"""The agent's certificate, renewed in time. What goes on meanwhile, the session most of all, is not touched."""

import asyncio

import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.protocol.certificates import CertificateError
from dlroverd.protocol.channel import AddressError, is_tcp
from dlroverd.protocol.errors import CallError
from dlroverd.trust import joining
from dlroverd.trust.renewal import Term, term_of

_RETRY_S = 60.0

_log = structlog.get_logger()


class Renewal:
    """Keeps one agent's certificate good."""

    def __init__(self, config: AgentConfig) -> None:
        """Look at nothing yet."""
        self._config = config
        self._said = ""

    async def run(self) -> None:
        """Renew for ever; only where there is a certificate, and a daemon that issues them."""
        if self._config.tls is None:
            return
        files = self._config.tls.files()
        while True:
            pause_s = _RETRY_S
            try:
                term = await asyncio.to_thread(term_of, files.certificate)
                if term.is_due:
                    problem = await self._renew(term)
                    term = await asyncio.to_thread(term_of, files.certificate)
                    if problem and term.is_late:
                        self._say(
                            f"{files.certificate} could not be renewed ({problem}); once it has ended this node is "
                            "not let in: see that the daemon runs, or let this host join again"
                        )
                pause_s = term.sleep_s()
            except (CertificateError, OSError) as error:
                self._say(f"the certificate cannot be renewed: {error}")
            await asyncio.sleep(pause_s)

    async def _renew(self, term: Term) -> str:
        """Try once; why it is not renewed, "" if it is."""
        config = self._config
        if config.tls is None:
            return ""
        lapsed = term.is_over
        known = [config.join] if lapsed and config.join else config.daemon
        problem = "it has ended, and no `join` address is configured where it could be renewed now"
        for address in known if config.join or not lapsed else ():
            if not is_tcp(address):
                continue
            try:
                await asyncio.to_thread(joining.renew, address, config.tls.files(), config.node, lapsed=lapsed)
            except CallError as error:
                problem = error.sentence
            except AddressError as error:
                problem = str(error)
            else:
                self._said = ""
                _log.info("the certificate is renewed", certificate=config.tls.certificate)
                return ""
        return problem

    def _say(self, sentence: str) -> None:
        """Tell people once for as long as it lasts."""
        if sentence != self._said:
            _log.warning(sentence)
        self._said = sentence
