"""The webhook sink against real servers over http and https."""

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dlroverd.builtin.webhook_sink import NotTakenError, WebhookSink
from dlroverd.plugin_api import EventsRefused
from dlroverd.protocol.channel import TlsFiles
from dlroverd.testing.certificates import Authority
from dlroverd.testing.conformance.sink import events, keys

SECRET = "0123456789abcdef0123456789abcdef"


class Receiver(ThreadingHTTPServer):
    """Checks signatures and keeps what it takes; `answer` says with which status, None hangs up."""

    daemon_threads = True

    def __init__(self, tls: TlsFiles | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer: Callable[[list[Any]], int | None] = lambda _: 204
        self.taken: list[tuple[int, int]] = []
        self.posts: list[int] = []
        self.types: set[str] = set()
        self.bodies: list[bytes] = []
        self.connections: set[int] = set()
        self.paths: set[str] = set()
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that does not trust us hangs up."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = f"{self.headers['Dlroverd-Timestamp']}.".encode() + body
        wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        status: int | None = 401
        if self.headers["Dlroverd-Signature"] == f"v1={wanted}":
            self.server.types.add(self.headers["Content-Type"])
            batch = json.loads(body)
            batch = batch["events"] if isinstance(batch, dict) else [_keyed(each) for each in batch]
            status = self.server.answer(batch)
            self.server.posts.append(len(batch))
            self.server.bodies.append(body)
            if status == 204:
                self.server.taken += [(event["position"], event["index"]) for event in batch]
        self.server.connections.add(self.client_address[1])
        self.server.paths.add(self.path)
        if status is None:
            self.close_connection = True
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _keyed(event: dict[str, Any]) -> dict[str, Any]:
    """Find position and index of a CloudEvent."""
    _, position, index = event["id"].split("/")
    return {"position": int(position), "index": int(index)}


@contextmanager
def receiving(tls: TlsFiles | None = None) -> Iterator[Receiver]:
    server = Receiver(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return str(path)


def opened(receiver: Receiver, secret: str, **settings: str) -> WebhookSink:
    sink = WebhookSink()
    url = f"http://127.0.0.1:{receiver.server_port}/hook?of=me"
    sink.open({"url": url, "secret_file": secret} | settings)
    return sink


def test_batches_arrive_signed_over_one_connection(secret: str) -> None:
    with receiving() as receiver:
        sink = opened(receiver, secret)
        for batch in (events(1, 3), (), events(4, 100)):
            sink.write(batch)
        assert receiver.taken == keys(events(1, 3) + events(4, 100))
        assert (receiver.posts, receiver.paths, len(receiver.connections)) == ([3, 100], {"/hook?of=me"}, 1)
        # The receiver hung up meanwhile: that alone is no failure.
        receiver.answer = lambda batch: None if batch[0]["position"] == 4 else 204
        with pytest.raises(NotTakenError, match="cannot be reached"):
            sink.write(events(4, 1))
        receiver.answer = lambda _: 204
        sink.write(events(200, 1))
        # The secret may be changed while it runs: the receiver has the old one.
        Path(secret).write_text("another secret of some length")
        with pytest.raises(NotTakenError, match="answered 401 Unauthorized"):
            sink.write(events(201, 1))
        sink.close()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_the_receiver_will_never_take_is_found_and_the_rest_delivered(secret: str, status: int) -> None:
    with receiving() as receiver:
        odd = {5, 8}
        receiver.answer = lambda batch: status if odd & {event["position"] for event in batch} else 204
        sink = opened(receiver, secret)
        with pytest.raises(EventsRefused) as refused:
            sink.write(events(1, 9))
        assert {position for position, _ in refused.value.refused} == odd
        assert all(f"answered {status}" in why for why in refused.value.refused.values())
        assert receiver.taken == [key for key in keys(events(1, 9)) if key[0] not in odd]
        sink.close()


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 425, 429, 500, 503])
def test_a_receiver_that_is_not_ready_or_not_the_right_one_gets_it_again(secret: str, status: int) -> None:
    with receiving() as receiver:
        receiver.answer = lambda _: status
        sink = opened(receiver, secret)
        with pytest.raises(NotTakenError, match=f"/hook answered {status}"):
            sink.write(events(1, 9))
        assert receiver.posts == [9]
        sink.close()


def test_cloud_events(secret: str) -> None:
    with receiving() as receiver:
        sink = opened(receiver, secret, format="cloudevents")
        sink.write(events(1, 3))
        assert (receiver.taken, receiver.types) == (keys(events(1, 3)), {"application/cloudevents-batch+json"})
        sink.close()


def test_a_large_event_goes(secret: str) -> None:
    with receiving() as receiver:
        sink = opened(receiver, secret)
        (event,) = events(1, 1)
        sink.write((replace(event, body=json.dumps({"x": "y" * 10_000_000})),))
        assert receiver.taken == [(1, 0)]
        sink.close()


def test_over_https_the_receiver_must_be_the_one_that_is_meant(secret: str, tmp_path: Path) -> None:
    tls = Authority(tmp_path / "tls").issue("receiver", hosts=["127.0.0.1"])
    Authority(tmp_path / "other")
    with receiving(tls) as receiver:
        url = f"https://127.0.0.1:{receiver.server_port}/hook"
        for ca, trusted in ((tls.ca, True), (str(tmp_path / "other/ca.pem"), False), ("", False)):
            sink = opened(receiver, secret, url=url, ca_file=ca)
            if trusted:
                sink.write(events(1, 3))
            else:
                with pytest.raises(NotTakenError, match="certificate verify failed"):
                    sink.write(events(4, 3))
            sink.close()
        named = opened(receiver, secret, url=url.replace("127.0.0.1", "localhost"), ca_file=tls.ca)
        with pytest.raises(NotTakenError, match="certificate is not valid for 'localhost'"):
            named.write(events(4, 3))
        assert receiver.taken == keys(events(1, 3))


def test_a_receiver_that_is_not_there_or_says_nothing(secret: str) -> None:
    with receiving() as receiver:
        away = f"http://127.0.0.1:{receiver.server_port}/"
    sink = WebhookSink()
    for url in (away, "http://no-such-host.invalid/hook"):
        sink.open({"url": url, "secret_file": secret})
        with pytest.raises(NotTakenError, match=r"^http://.* cannot be reached: \["):
            sink.write(events(1, 1))
    with receiving() as receiver:
        ended = threading.Event()
        receiver.answer = lambda _: 204 if ended.wait(60) else 500
        sink = opened(receiver, secret, timeout_s="1")
        with pytest.raises(NotTakenError, match="cannot be reached: timed out"):
            sink.write(events(1, 1))
        ended.set()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "url is ''; the webhook sink needs one such as https://host/path"),
        ({"url": "ftp://host/x"}, "url is 'ftp://host/x'; the webhook sink needs one such as"),
        ({"url": "https://me:pw@host/x"}, "put what is secret into secret_file"),
        ({"url": "https://host/", "timeout_s": "0"}, "timeout_s is '0'; the webhook sink needs seconds, at least 1"),
        ({"url": "https://host/", "secret": "x"}, "unknown setting 'secret'; the webhook sink has url, secret_file"),
        ({"url": "https://host/", "secret_file": ""}, "needs the absolute path of a file with a secret"),
        ({"url": "https://host/", "secret_file": "/no/such"}, "secret_file /no/such cannot be read: No such file"),
        ({"url": "https://host/", "ca_file": "/no/such"}, "ca_file /no/such cannot be used"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], sentence: str, secret: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+") as refused:
        WebhookSink().open({"secret_file": secret} | settings if settings else {})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "mode", "sentence"), [("short", 0o600, "holds 5 bytes"), (SECRET, 0o604, "read by others")]
)
def test_a_poor_secret_is_refused(text: str, mode: int, sentence: str, secret: str) -> None:
    Path(secret).write_text(text)
    Path(secret).chmod(mode)
    with pytest.raises(ValueError, match=sentence):
        WebhookSink().open({"url": "https://host/", "secret_file": secret})
