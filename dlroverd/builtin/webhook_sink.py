"""A sink that posts events to an address of yours, signed.

Settings: `url` (http or https), `secret_file` (what the signature is made with; its owner's alone), `ca_file` (whose
certificates are trusted instead of the system's), `timeout_s` (for each step of a request; default 10), `format`
(json, or cloudevents: their JSON batch format).

Each batch is one POST of `{"version": 1, "events": [...]}`, an event being as the file sink writes it.
`Dlroverd-Signature` is `v1=` and the hexadecimal HMAC-SHA256, under the secret, of `Dlroverd-Timestamp` (seconds since
1970), a full stop and the body. A receiver refuses a wrong one, and one whose time is minutes from its own.
"""

import hashlib
import hmac
import http.client
import os
import ssl
import stat
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from dlroverd.builtin.file_sink import FORMATS, chosen
from dlroverd.plugin_api import EventsRefused, EventView, Sink, hookimpl

DLROVERD_API = 1

_DEFAULTS = {"url": "", "secret_file": "", "ca_file": "", "timeout_s": "10", "format": "json"}
# These tell of the events: others would be taken. All else tells of the receiver, and passes or is mended.
_OF_THE_EVENTS = frozenset({400, 413, 422})
_ANSWER_BYTES = 65536
# The type of the body, what it begins with, how each event stands in it, and what it ends with.
_FORMATS = {
    "json": ("application/json", b'{"version":1,"events":[', FORMATS["json"], b"]}"),
    "cloudevents": ("application/cloudevents-batch+json", b"[", FORMATS["cloudevents"], b"]"),
}


class NotTakenError(Exception):
    """The receiver did not take a batch; it is to go again."""


class WebhookSink:
    """Keeps one connection open as long as the receiver lets it."""

    def open(self, settings: dict[str, str]) -> None:
        """Check the settings. The receiver need not be there."""
        unknown = sorted(set(settings) - set(_DEFAULTS))
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; the webhook sink has {', '.join(_DEFAULTS)}")
        merged = _DEFAULTS | settings
        url = urlsplit(merged["url"])
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"url is {merged['url']!r}; the webhook sink needs one such as https://host/path")
        if url.username or url.password or url.fragment:
            raise ValueError("url holds a user, a password or a fragment; put what is secret into secret_file")
        if not merged["timeout_s"].isdecimal() or not int(merged["timeout_s"]):
            raise ValueError(f"timeout_s is {merged['timeout_s']!r}; the webhook sink needs seconds, at least 1")
        self._format = chosen(_FORMATS, merged["format"])
        self._secret_file = merged["secret_file"]
        _secret(self._secret_file)
        host, timeout_s = url.hostname, int(merged["timeout_s"])
        if url.scheme == "https":
            context = _trusting(merged["ca_file"])
            self._link: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, url.port, timeout=timeout_s, context=context
            )
        else:
            self._link = http.client.HTTPConnection(host, url.port, timeout=timeout_s)
        self._target = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
        self._shown = f"{url.scheme}://{url.netloc}{url.path}"

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Post a batch; when the receiver does not take it for what is in it, find out which events those are."""
        refused = dict(self._refused(batch)) if batch else {}
        if refused:
            raise EventsRefused(refused)

    def close(self) -> None:
        """Hang up."""
        self._link.close()

    def _refused(self, batch: tuple[EventView, ...]) -> Iterator[tuple[tuple[int, int], str]]:
        """Post in order, in ever smaller parts where one is not taken; gives the events that are not taken alone."""
        answer = self._post(batch)
        if not answer:
            return
        if len(batch) == 1:
            yield (batch[0].position, batch[0].index), answer
            return
        middle = len(batch) // 2
        yield from self._refused(batch[:middle])
        yield from self._refused(batch[middle:])

    def _post(self, batch: tuple[EventView, ...]) -> str:
        """Post once; gives why these events are refused, "" if they were taken. NotTakenError if neither is said."""
        content_type, begin, one, end = self._format
        body = begin + b",".join(one(event).rstrip() for event in batch) + end
        now = str(int(time.time()))
        signature = hmac.new(_secret(self._secret_file), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": content_type,
            "User-Agent": "dlroverd",
            "Dlroverd-Timestamp": now,
            "Dlroverd-Signature": f"v1={signature}",
        }
        status, reason = self._request(body, headers)
        answered = f"{self._shown} answered {status} {reason}".rstrip()
        if 200 <= status < 300:
            return ""
        if status in _OF_THE_EVENTS:
            return answered
        if 300 <= status < 400:
            raise NotTakenError(f"{answered}; redirects are not followed: set url to where it leads")
        raise NotTakenError(answered)

    def _request(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Send; once more if the connection was one that the receiver may have given up meanwhile."""
        for is_old in (self._link.sock is not None, False):
            try:
                self._link.request("POST", self._target, body, headers)
                response = self._link.getresponse()
                rest = response.read(_ANSWER_BYTES)
                if len(rest) == _ANSWER_BYTES:
                    self._link.close()
                return response.status, response.reason
            except (OSError, http.client.HTTPException) as error:
                self._link.close()
                if not (is_old and isinstance(error, ConnectionError)):
                    raise NotTakenError(f"{self._shown} cannot be reached: {error or type(error).__name__}") from error
        raise AssertionError("the second time always returns or raises")


def _trusting(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise ValueError(f"ca_file {ca_file} cannot be used: {error}; name a file of PEM certificates") from error


def _secret(path: str) -> bytes:
    """Read the secret anew each time, so that it can be changed; ValueError if it is none, or others may read it."""
    if not os.path.isabs(path):
        raise ValueError(f"secret_file is {path!r}; the webhook sink needs the absolute path of a file with a secret")
    try:
        with open(path, "rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o007:
                raise ValueError(f"secret_file {path} may be read by others; run `chmod o-rwx {path}`")
            secret = file.read(4096).strip()
    except OSError as error:
        raise ValueError(f"secret_file {path} cannot be read: {error.strerror}") from error
    if len(secret) < 16:
        raise ValueError(
            f"secret_file {path} holds {len(secret)} bytes; a secret needs 16, such as `openssl rand -hex 32`"
        )
    return secret


@hookimpl
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over the webhook sink."""
    register(WebhookSink())
