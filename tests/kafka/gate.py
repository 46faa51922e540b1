"""Stands before a broker and adds what Tansu cannot do: TLS, and SASL with PLAIN and SCRAM.

    with Gate(users={"ann": "secret"}, tls=authority.issue("localhost")) as gate, Tansu(advertised=gate.port) as broker:
        gate.open(broker.port)                  # clients call gate.servers

What it says is Kafka's protocol (KIP-43, KIP-152) and RFC 5802, written down here anew, and held to it by librdkafka,
which reads through it in the tests.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
import ssl
import struct
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from dlroverd.protocol.channel import TlsFiles
from tests.system.fleet import DEADLINE_S

_HANDSHAKE, _API_VERSIONS, _AUTHENTICATE = 17, 18, 36
_UNSUPPORTED_MECHANISM, _AUTHENTICATION_FAILED = 33, 58
_ITERATIONS = 4096
# As long as Kafka waits by itself (connection.failed.authentication.delay.ms): kafka-python misses what comes with the
# end of a connection.
_REFUSAL_S = 0.1
_HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


class Refused(Exception):  # noqa: N818 - what the client is told
    """The client is not let in."""


class Gate:
    """Lets those of `users` (names and passwords) in; with none, anybody. `clients` asks for their certificate.

    `refused` counts those that were told that they are not let in.
    """

    def __init__(
        self, *, users: Mapping[str, str] | None = None, tls: TlsFiles | None = None, clients: bool = False
    ) -> None:
        self._users = users
        self._tls = None if tls is None else _server_side(tls, clients)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._broker = 0
        self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(DEADLINE_S)
        self.port = int(server.sockets[0].getsockname()[1])
        self.servers = f"127.0.0.1:{self.port}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)

    def open(self, broker: int) -> None:
        """Lead to the broker on that port."""
        self._broker = broker

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._broker)
            if self._users is not None:
                await self._authenticate(reader, writer, broker_reader, broker_writer)
            await asyncio.wait(
                [asyncio.create_task(_copy(reader, broker_writer)), asyncio.create_task(_copy(broker_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            broker_writer.close()
        except (Refused, OSError, asyncio.IncompleteReadError):
            pass  # the client has been told, or has gone
        writer.close()

    async def _authenticate(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        broker_reader: asyncio.StreamReader,
        broker_writer: asyncio.StreamWriter,
    ) -> None:
        login: _Login | None = None
        while login is None or not login.done:
            frame = await _frame(reader)
            api, version, correlation = struct.unpack_from(">hhi", frame)
            if api == _API_VERSIONS:
                broker_writer.write(_framed(frame))
                writer.write(_framed(await _frame(broker_reader)))
            elif api == _HANDSHAKE:
                mechanism = _after_header(frame)[2:].decode()
                login = _Login(mechanism, self._users or {})
                known = ["PLAIN", *_HASHES]
                answer = struct.pack(
                    ">ihi", correlation, 0 if mechanism in known else _UNSUPPORTED_MECHANISM, len(known)
                )
                answer += b"".join(struct.pack(">h", len(name)) + name.encode() for name in known)
                writer.write(_framed(answer))
            elif api == _AUTHENTICATE and login is not None:
                try:
                    said, error = login.next(_token(frame, version)), ""
                except Refused as refused:
                    said, error = b"", str(refused)
                    self.refused += 1
                writer.write(_framed(_authenticated(correlation, version, said, error)))
                if error:
                    await asyncio.sleep(_REFUSAL_S)
                    raise Refused(error)
            else:
                raise Refused("not authenticated")


class _Login:
    """The broker's side of one exchange."""

    def __init__(self, mechanism: str, users: Mapping[str, str]) -> None:
        self._mechanism = mechanism
        self._users = users
        self._first = ""
        self.done = False

    def next(self, token: bytes) -> bytes:
        """Take what the client says and give the answer; Refused if it does not know the password."""
        if self._mechanism == "PLAIN":
            _, user, password = token.decode().split("\0")
            if self._users.get(user) != password:
                raise Refused("Authentication failed: Invalid username or password")
            self.done = True
            return b""
        return self._scram_final(token.decode()) if self._first else self._scram_first(token.decode())

    def _scram_first(self, said: str) -> bytes:
        """`n,,n=user,r=nonce`, answered by `r=nonce+ours,s=salt,i=iterations`."""
        bare = said.split(",", 2)[2]
        fields = _fields(bare)
        self._password = self._users.get(fields["n"], secrets.token_hex())
        self._salt = secrets.token_bytes(16)
        answer = f"r={fields['r']}{secrets.token_hex()},s={base64.b64encode(self._salt).decode()},i={_ITERATIONS}"
        self._first = f"{bare},{answer}"
        return answer.encode()

    def _scram_final(self, said: str) -> bytes:
        """`c=...,r=...,p=proof`, answered by `v=signature`."""
        without_proof, _, proof = said.rpartition(",p=")
        kind = _HASHES[self._mechanism]

        def keyed(key: bytes, text: bytes) -> bytes:
            return hmac.digest(key, text, kind)

        salted = hashlib.pbkdf2_hmac(kind, self._password.encode(), self._salt, _ITERATIONS)
        client_key = keyed(salted, b"Client Key")
        message = f"{self._first},{without_proof}".encode()
        signature = keyed(hashlib.new(kind, client_key).digest(), message)
        if bytes(a ^ b for a, b in zip(client_key, signature, strict=True)) != base64.b64decode(proof):
            raise Refused("Authentication failed during authentication due to invalid credentials with SASL mechanism")
        self.done = True
        return b"v=" + base64.b64encode(keyed(keyed(salted, b"Server Key"), message))


def _server_side(tls: TlsFiles, clients: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.ca)
    context.load_cert_chain(tls.certificate, tls.key)
    context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
    return context


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (size,) = struct.unpack(">i", await reader.readexactly(4))
    return await reader.readexactly(size)


def _framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def _after_header(frame: bytes) -> bytes:
    """Give a request's body: after api, version, correlation id and the client's name."""
    (name,) = struct.unpack_from(">h", frame, 8)
    return frame[10 + max(0, name) :]


def _token(frame: bytes, version: int) -> bytes:
    body = _after_header(frame)
    if version < 2:
        return body[4:]
    # Version 2 has tagged fields (none: one zero) after header and body, and before the token a varint, at least one.
    length = next(at for at in range(1, len(body)) if body[at] < 128)
    return body[length + 1 : -1]


def _authenticated(correlation: int, version: int, said: bytes, error: str) -> bytes:
    code = _AUTHENTICATION_FAILED if error else 0
    if version < 2:
        text = struct.pack(">h", len(error)) + error.encode() if error else struct.pack(">h", -1)
        lifetime = struct.pack(">q", 0) if version else b""
        return struct.pack(">ih", correlation, code) + text + struct.pack(">i", len(said)) + said + lifetime
    text = _varint(len(error) + 1) + error.encode() if error else b"\0"
    return struct.pack(">ibh", correlation, 0, code) + text + _varint(len(said) + 1) + said + struct.pack(">qb", 0, 0)


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def _fields(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(","))
