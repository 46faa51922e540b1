"""Serves one page over HTTP, for Prometheus to pull: `GET /metrics` and nothing else.

Never waits for a caller: heads are short and due within seconds, few are served at once, and one page serves all who
ask within a second. Written out, since the servers at hand take a thread a caller and wait for TLS handshakes in turn.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from dlroverd.protocol.channel import AddressError, TlsFiles, host_port

_HEAD_BYTES = 16 * 1024
_HEAD_S = 5.0
_WRITE_S = 30.0
_MOST_CALLERS = 8
_FRESH_S = 1.0

Collect = Callable[[], Awaitable[Iterable[Metric]]]


class Endpoint:
    """The endpoint of one process. `collect` gives the metrics as of now; it must not block."""

    def __init__(self, collect: Collect) -> None:
        self._collect = collect
        self._callers = 0
        self._page = b""
        self._made_at = float("-inf")
        self._making = asyncio.Lock()
        self._server: asyncio.Server | None = None

    async def open(self, address: str, tls: TlsFiles | None) -> None:
        """Listen there, with TLS for callers with a certificate of the authority if there are files.

        Raises:
            AddressError: it cannot be bound, or the files cannot be used.
        """
        host, port = host_port(address)
        try:
            context = await asyncio.to_thread(_context, tls) if tls is not None else None
            handshake_s = _HEAD_S if context is not None else None
            self._server = await asyncio.start_server(
                self._serve, host, port, limit=_HEAD_BYTES, ssl=context, ssl_handshake_timeout=handshake_s
            )
        except OSError as error:
            raise AddressError(
                f"{address}: metrics cannot be served there: {error.strerror or error}; see `metrics` in the "
                "configuration."
            ) from error

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers += 1
        try:
            async with asyncio.timeout(_HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await self._answer(head))
            async with asyncio.timeout(_WRITE_S):
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the caller went away, or does not speak HTTP
        finally:
            self._callers -= 1
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, path = [*head.split(b"\r\n", 1)[0].split(b" "), b"", b""][:2]
        if self._callers > _MOST_CALLERS:
            return _response("503 Service Unavailable", b"Too many callers at once; try again in a moment.\n")
        if path.partition(b"?")[0] != b"/metrics":
            return _response("404 Not Found", b"There is /metrics alone.\n")
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"Metrics are read, by GET.\n")
        page = _response("200 OK", await self._current(), CONTENT_TYPE_LATEST)
        return page if method == b"GET" else page[: page.index(b"\r\n\r\n") + 4]

    async def _current(self) -> bytes:
        async with self._making:
            now = asyncio.get_running_loop().time()
            if now - self._made_at > _FRESH_S:
                # What is collected holds nothing of the process's own, and so may be written out beside the loop.
                self._page = await asyncio.to_thread(generate_latest, _Collected(await self._collect()))
                self._made_at = now
            return self._page


class _Collected(Collector):
    """Metrics that were collected already, for the library to write out."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Give them."""
        return self._metrics


def _response(status: str, body: bytes, kind: str = "text/plain; charset=utf-8") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode("ascii") + body


def _context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_verify_locations(tls.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(tls.certificate, tls.key)
    return context
