"""The endpoint that Prometheus pulls from: one page, for those who may have it, whatever else calls."""

import asyncio
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric

from dlroverd.config.agent import AgentConfig
from dlroverd.config.daemon import DaemonConfig
from dlroverd.protocol.channel import AddressError, TlsFiles
from dlroverd.protocol.scrape import Endpoint
from dlroverd.testing.certificates import Authority


@asynccontextmanager
async def serving(tls: TlsFiles | None = None) -> AsyncIterator[tuple[int, list[int]]]:
    """Serve at a free port; give it, and a list of one item for each time that was collected."""
    collected: list[int] = []

    async def collect() -> Iterable[Metric]:
        collected.append(len(collected))
        return [GaugeMetricFamily("collected", "How often.", value=len(collected))]

    endpoint = Endpoint(collect)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await endpoint.open(f"tcp://127.0.0.1:{port}", tls)
    try:
        yield port, collected
    finally:
        await endpoint.close()


async def get(url: str, context: ssl.SSLContext | None = None, method: str = "GET") -> tuple[int, str, str]:
    """Give status, type and body."""

    def ask() -> tuple[int, str, str]:
        request = urllib.request.Request(url, method=method)  # noqa: S310 - one of ours
        try:
            with urllib.request.urlopen(request, timeout=20, context=context) as answer:  # noqa: S310 - our own
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except HTTPError as error:
            return error.code, "", error.read().decode()

    return await asyncio.to_thread(ask)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


def test_metrics_are_served_and_nothing_else() -> None:
    async def test() -> None:
        async with serving() as (port, collected):
            status, kind, page = await get(f"http://127.0.0.1:{port}/metrics")
            assert (status, kind.partition(";")[0]) == (200, "text/plain")
            assert page == "# HELP collected How often.\n# TYPE collected gauge\ncollected 1.0\n"
            assert (await get(f"http://127.0.0.1:{port}/metrics?x=1", method="HEAD"))[2] == ""
            assert (await get(f"http://127.0.0.1:{port}/metrics", method="POST"))[0] == 405
            assert (await get(f"http://127.0.0.1:{port}/etc/passwd"))[0] == 404
            many = await asyncio.gather(*(get(f"http://127.0.0.1:{port}/metrics") for _ in range(5)))
            assert {status for status, _, _ in many} == {200}
            assert len(collected) <= 2, "who asks within a second gets the same page"

    run(test)


def test_callers_that_say_nothing_or_nonsense_keep_nobody_waiting() -> None:
    async def test() -> None:
        async with serving() as (port, _):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
            for _, writer in silent[:3]:
                writer.write(b"\x16\x03\x01" * 20_000)
            assert (await get(f"http://127.0.0.1:{port}/metrics"))[0] == 200
            more = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
            assert (await get(f"http://127.0.0.1:{port}/metrics"))[0] == 503
            for _, writer in (*silent, *more):
                writer.close()
            while (await get(f"http://127.0.0.1:{port}/metrics"))[0] != 200:
                pass

    run(test)


def test_off_loopback_only_those_with_a_certificate_of_the_authority_get_in(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    server = authority.issue("dlroverd", hosts=["127.0.0.1"])

    def client(files: TlsFiles | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(server.ca)
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        return context

    async def test() -> None:
        async with serving(server) as (port, _):
            url = f"https://127.0.0.1:{port}/metrics"
            assert (await get(url, client(authority.issue("prometheus"))))[0] == 200
            for files in (None, stranger.issue("prometheus")):
                with pytest.raises(OSError, match=r"alert|reset|closed|EOF"):
                    await get(url, client(files))
            with pytest.raises((OSError, HTTPError)):
                await get(f"http://127.0.0.1:{port}/metrics")

    run(test)


def test_an_address_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
            with pytest.raises(AddressError, match=rf"{address}: metrics cannot be served there: .*see `metrics`"):
                await Endpoint(lambda: asyncio.sleep(0, [])).open(address, None)
        missing = TlsFiles(ca=str(tmp_path / "no"), certificate="no", key="no")
        with pytest.raises(AddressError, match="metrics cannot be served there: No such file"):
            await Endpoint(lambda: asyncio.sleep(0, [])).open("tcp://127.0.0.1:1", missing)

    run(test)


@pytest.mark.parametrize("config", [DaemonConfig, AgentConfig])
def test_nothing_listens_off_loopback_without_certificates(config: type[DaemonConfig | AgentConfig]) -> None:
    tls = {"ca": "/ca", "certificate": "/c", "key": "/k"}

    def files(listen: str, **more: object) -> TlsFiles | None:
        made = config.model_validate({"metrics": {"listen": listen}, **more})
        return made.metrics.files(made.tls)

    assert config().metrics.listen is None
    for listen in ("tcp://127.0.0.1:9790", "tcp://[::1]:9790"):
        assert files(listen) is None
        assert files(listen, tls=tls) is None
    for listen in ("tcp://0.0.0.0:9790", "tcp://[::]:9790", "tcp://10.0.0.7:9790", "tcp://gpu00:9790"):
        with pytest.raises(ValueError, match=r"is not on loopback and needs mutual TLS: set tls"):
            files(listen)
        assert files(listen, tls=tls) == TlsFiles(ca="/ca", certificate="/c", key="/k")
    with pytest.raises(ValueError, match="write tcp://HOST:PORT"):
        files("127.0.0.1:9790")
