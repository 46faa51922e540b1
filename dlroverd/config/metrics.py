"""The Prometheus endpoint's settings, alike in daemon and agent."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

from dlroverd.config.schema import Section, setting
from dlroverd.config.tls import TlsConfig
from dlroverd.protocol.channel import TlsFiles, host_port


def _listen(value: str) -> str:
    host_port(value)
    return value


def _is_loopback(address: str) -> bool:
    host, _ = host_port(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may come to stand for another address
        return False


class MetricsConfig(Section):
    """Where Prometheus finds this process. Off loopback it needs a certificate of the fleet's authority, as all do."""

    listen: Annotated[str, AfterValidator(_listen)] | None = setting(
        None,
        "where `/metrics` is served: plain HTTP on an address of loopback, else HTTPS for those with a certificate",
        example="tcp://127.0.0.1:9790",
    )

    def need_tls(self, tls: TlsConfig | None) -> None:
        """Raise ValueError if it would be open to the network."""
        if self.listen is not None and not _is_loopback(self.listen) and tls is None:
            raise ValueError(
                f"metrics.listen has {self.listen}, which is not on loopback and needs mutual TLS: "
                "set tls: {ca: PATH, certificate: PATH, key: PATH}, or use tcp://127.0.0.1:PORT"
            )

    def files(self, tls: TlsConfig | None) -> TlsFiles | None:
        """Give the certificate files to serve with; None for plain HTTP."""
        return tls.files() if tls is not None and self.listen is not None and not _is_loopback(self.listen) else None
