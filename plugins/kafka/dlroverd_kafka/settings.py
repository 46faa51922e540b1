"""The sink's settings: strings in, one checked value out, or a ValueError with one sentence."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kafka import codec

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_SASL = ("sasl_mechanism", "sasl_user", "sasl_password_file")
# What it takes to compress with each, and how to have it.
_COMPRESSIONS: dict[str, Callable[[], bool]] = {
    "none": lambda: True,
    "gzip": codec.has_gzip,
    "snappy": codec.has_snappy,
    "lz4": codec.has_lz4,
    "zstd": codec.has_zstd,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where and how to deliver.

    `partitions` and `replication` are those that a missing topic is made with; 0: it is not made. `request_s` is how
    long a broker may take to answer. `max_request_bytes` bounds one event, and one request to a broker. What is "" is
    not used.
    """

    servers: tuple[str, ...]
    topic: str
    partitions: int
    replication: int
    format: str
    compression: str
    idempotence: bool
    security: str
    ca_file: str
    certificate_file: str
    key_file: str
    sasl_mechanism: str
    sasl_user: str
    sasl_password_file: str
    client_id: str
    request_s: float
    max_request_bytes: int


def read(settings: dict[str, str], formats: tuple[str, ...]) -> Settings:
    """Check all settings; ValueError for the first that is missing, unknown or wrong."""
    takers = _takers(formats)
    unknown = sorted(set(settings) - set(takers))
    if unknown:
        raise ValueError(f"unknown setting {unknown[0]!r}; the kafka sink has {', '.join(takers)}")
    taken = {name: take(name, settings.get(name, default)) for name, (default, take) in takers.items()}
    taken["partitions"], taken["replication"] = taken.pop("create_topic")
    taken["request_s"] = taken.pop("request_timeout")
    _check_security(taken)
    return Settings(**taken)


def _takers(formats: tuple[str, ...]) -> dict[str, tuple[str, Callable[[str, str], Any]]]:
    """Give each setting's default, and what checks and converts it."""
    return {
        "servers": ("", _servers),
        "topic": ("dlroverd.events", _topic),
        "create_topic": ("", _create_topic),
        "format": ("json", partial(_one_of, formats)),
        "compression": ("none", _compression),
        "idempotence": ("true", lambda name, text: _one_of(("true", "false"), name, text) == "true"),
        "security": ("PLAINTEXT", partial(_one_of, ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"))),
        "ca_file": ("", _file),
        "certificate_file": ("", _file),
        "key_file": ("", _file),
        "sasl_mechanism": ("", partial(_one_of, ("", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))),
        "sasl_user": ("", lambda _name, text: text),
        "sasl_password_file": ("", _file),
        "client_id": ("dlroverd", lambda _name, text: text),
        "request_timeout": ("10", partial(_whole, 1, 20)),
        "max_request_bytes": ("1000000", partial(_whole, 10_000, 16_000_000)),
    }


def _check_security(taken: dict[str, Any]) -> None:
    security = taken["security"]
    if security.startswith("SASL"):
        missing = [name for name in _SASL if not taken[name]]
        if missing:
            raise ValueError(f"security is {security}, which needs {', '.join(missing)}")
    for name in _SASL:
        if taken[name] and not security.startswith("SASL"):
            raise ValueError(f"{name} is set, but security is {security}; set it to SASL_SSL, or remove {name}")
    for name in ("ca_file", "certificate_file", "key_file"):
        if taken[name] and not security.endswith("SSL"):
            raise ValueError(f"{name} is set, but security is {security}; set it to SSL or SASL_SSL, or remove {name}")
    if bool(taken["certificate_file"]) != bool(taken["key_file"]):
        raise ValueError("certificate_file and key_file go together: set both, or none")


def _servers(name: str, text: str) -> tuple[str, ...]:
    servers = tuple(part.strip() for part in text.split(","))
    for server in servers:
        found = _SERVER.fullmatch(server)
        if found is None or not 0 < int(found[2]) < 65536:
            raise ValueError(f"{name} is {text!r}; the kafka sink needs host:port, several with a comma between them")
    return servers


def _topic(name: str, text: str) -> str:
    if _TOPIC.fullmatch(text) is None or text in {".", ".."}:
        raise ValueError(f"{name} is {text!r}; Kafka's topics have 1 to 249 letters, digits, '.', '_' and '-'")
    return text


def _create_topic(name: str, text: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    found = re.fullmatch(r"([1-9][0-9]{0,4}) *, *([1-9][0-9]?)", text)
    if found is None:
        raise ValueError(f"{name} is {text!r}; give the partitions and the replicas of a new topic, such as 12,3")
    return int(found[1]), int(found[2])


def _compression(name: str, text: str) -> str:
    _one_of(tuple(_COMPRESSIONS), name, text)
    if not _COMPRESSIONS[text]():
        raise ValueError(f"{name} is {text}, which needs a library: pip install 'dlroverd-kafka[{text}]'")
    return text


def _file(name: str, path: str) -> str:
    if path and not (os.path.isabs(path) and os.access(path, os.R_OK)):
        raise ValueError(f"{name} is {path!r}; the kafka sink needs the absolute path of a file that it may read")
    return path


def _whole(least: int, most: int, name: str, text: str) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name} is {text!r}; the kafka sink needs a whole number from {least} to {most}")
    return int(text)


def _one_of(allowed: tuple[str, ...], name: str, text: str) -> str:
    if text not in allowed:
        raise ValueError(f"{name} is {text!r}; it may be {', '.join(filter(None, allowed))}")
    return text
