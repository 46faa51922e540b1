"""Whatever reads bytes of a stranger's, a rank's or a file that may be damaged, and how it may refuse them.

python -m tests.properties.decoders NAME SECONDS    fuzzes one with atheris (pip install atheris), guided by what of
                                                    its code each input reaches; test_decoders.py runs all of them
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from dlroverd_agent import progress
from dlroverd_agent.events import lines
from dlroverd_train.vault import frames
from google.protobuf.message import DecodeError

from dlroverd.config import yaml_source
from dlroverd.config.document import ConfigError
from dlroverd.config.jobfile import draft
from dlroverd.daemon import archive
from dlroverd.model.ids import RankKey
from dlroverd.protocol import messages
from dlroverd.protocol.convert import Envelope, ProtocolError
from dlroverd.protocol.errors import CallError
from dlroverd.trust.identity import Identities
from dlroverd.trust.join_token import Token, TokenError

Decoder = tuple[Callable[[bytes], object], tuple[type[Exception], ...]]

_KEY = RankKey(1, "trainer", 0, 1, 0)


def _message(envelope: Envelope) -> Decoder:  # type: ignore[type-arg] # any
    return lambda data: envelope.unwrap(envelope.message_cls.FromString(data)), (DecodeError, ProtocolError)


def _backup(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with archive.reading(Path(file.name)) as backup:
            backup.verify()


def _identity(data: bytes) -> object:
    return Identities(lambda *_: None, 60.0).read(data.decode("latin-1"))  # type: ignore[arg-type] # not asked


DECODERS: MappingProxyType[str, Decoder] = MappingProxyType(
    {
        "agent-message": _message(messages.AGENT_MESSAGE),
        "daemon-message": _message(messages.DAEMON_MESSAGE),
        "log-piece": _message(messages.LOG_PIECE),
        "vault-frame": (frames.unpacked, (ValueError,)),
        "vault-length": (lambda data: frames.length_in(data[:4].ljust(4, b"\0")), (ValueError,)),
        "event-line": (lambda data: lines.parse(data, _KEY), (lines.BadLineError,)),
        "progress-page": (progress.read_page, ()),
        "progress-checkpoint": (progress.read_checkpoint, ()),
        "backup": (_backup, (archive.BackupError,)),
        "identity-token": (_identity, (CallError,)),
        "join-token": (lambda data: Token.parse(data.decode("latin-1")), (TokenError,)),
        "job-file": (lambda data: draft(yaml_source.parse(data, "job.yaml")), (ConfigError,)),
    }
)


def decode(name: str, data: bytes) -> None:
    """Have one read it; fails with anything that is not its way to refuse."""
    decoder, refusals = DECODERS[name]
    try:
        decoder(data)
    except refusals:
        pass
