"""The daemon's own certificate: renewed in time by the daemon that has the authority's key."""

import asyncio

import structlog

from dlroverd.protocol.certificates import CertificateError
from dlroverd.protocol.channel import TlsFiles
from dlroverd.trust.authority import Authority
from dlroverd.trust.renewal import term_of

_LOG = structlog.get_logger("dlroverd.daemon")


async def keep_renewed(authority: Authority, files: TlsFiles, life_s: float) -> None:
    """Renew the certificate whenever it is due, for ever. New connections see the new one at once; none ends."""
    said = ""
    while True:
        try:
            term = await asyncio.to_thread(term_of, files.certificate)
            if term.is_due:
                await asyncio.to_thread(authority.recertify_daemon, files, life_s)
                term, said = await asyncio.to_thread(term_of, files.certificate), ""
                _LOG.info("the daemon's certificate is renewed", until=term.ends_at)
            pause_s = term.sleep_s()
        except (OSError, CertificateError) as error:
            problem = (
                f"the daemon's certificate {files.certificate} cannot be renewed ({error}): let its user write to that "
                "folder, or renew it by hand; once it has ended no agent comes back"
            )
            if problem != said:
                _LOG.error(problem)
            said, pause_s = problem, life_s / 100
        await asyncio.sleep(pause_s)
