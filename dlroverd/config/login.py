"""The configuration of a login host: what /etc/dlroverd/login.yaml may hold."""

import socket

from pydantic import Field, field_validator

from dlroverd.config.daemon import DEFAULT_ADDRESS, LogConfig
from dlroverd.config.schema import Section, setting
from dlroverd.config.tls import Address, TlsConfig
from dlroverd.config.validation import load
from dlroverd.protocol.channel import is_tcp

DEFAULT_PATH = "/etc/dlroverd/login.yaml"


class LoginConfig(Section):
    """The whole file."""

    name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=253,  # the longest name DNS has, RFC 1035
        description="what its certificate names; the host's name when left out",
        examples=["login1"],
    )
    daemon: Address = setting(..., "where the fleet's daemon is", example="tcp://gpu00:7700")
    join: Address | None = setting(
        None, "where the certificate is renewed once it has ended", example="tcp://gpu00:7701"
    )
    tls: TlsConfig = setting(
        ..., "the certificate files of mutual TLS", example="{ca: PATH, certificate: PATH, key: PATH}"
    )
    listen: Address = setting(DEFAULT_ADDRESS, "where dlroverctl calls on this host", example=DEFAULT_ADDRESS)
    log: LogConfig = setting(LogConfig(), "its own log lines", example="{format: json}")

    @field_validator("daemon", "join")
    @classmethod
    def _over_the_network(cls, value: str | None) -> str | None:
        if value is not None and not is_tcp(value):
            raise ValueError("must be tcp://HOST:PORT: on the daemon's own host its users need no login service")
        return value

    @field_validator("listen")
    @classmethod
    def _on_this_host(cls, value: str) -> str:
        if is_tcp(value):
            raise ValueError("must be unix:///PATH: who calls is known of this host's own processes alone")
        return value


def load_login_config(path: str | None = None) -> LoginConfig:
    """Read a login host's configuration; ConfigError if it cannot be used."""
    return load(LoginConfig, path, DEFAULT_PATH)
