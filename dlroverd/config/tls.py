"""Addresses, and the certificate files that those over TCP need: what daemon and agent say alike."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from dlroverd.config.schema import AbsolutePath, Section, setting
from dlroverd.protocol.channel import TlsFiles, check_address, is_tcp


def _address(value: str) -> str:
    check_address(value)
    return value


Address = Annotated[str, AfterValidator(_address)]


class TlsConfig(Section):
    """The PEM files of mutual TLS."""

    ca: AbsolutePath = setting(
        ..., "the authority (one or several certificates) that both sides trust", example="/etc/dlroverd/tls/ca.pem"
    )
    certificate: AbsolutePath = setting(
        ...,
        "this side's certificate; it names the node, or `dlroverd` for the daemon",
        example="/etc/dlroverd/tls/node.pem",
    )
    key: AbsolutePath = setting(
        ..., "the certificate's private key, readable by its owner alone", example="/etc/dlroverd/tls/node.key"
    )

    def files(self) -> TlsFiles:
        """Give the paths as the channels take them."""
        return TlsFiles(ca=self.ca, certificate=self.certificate, key=self.key)


class DaemonTlsConfig(TlsConfig):
    """The daemon's, which may be the one that issues certificates."""

    ca_key: AbsolutePath | None = setting(
        None,
        "the authority's private key, with which this daemon lets hosts join by tokens and renews certificates; none "
        "when left out",
        example="/etc/dlroverd/tls/ca.key",
    )


def need_tls(key: str, addresses: Iterable[str], tls: TlsConfig | None) -> None:
    """Raise ValueError if one of the addresses that `key` lists is TCP and there is no TLS."""
    tcp = next(filter(is_tcp, addresses), None)
    if tcp is not None and tls is None:
        raise ValueError(
            f"{key} has {tcp}, and TCP needs mutual TLS: set tls: {{ca: PATH, certificate: PATH, key: PATH}}, "
            "or use unix:///path"
        )
