"""The text of a join token: who to be, whom to trust, and a check that it was copied whole.

    dlrj-<base32 of: id (6 bytes), secret (16), fingerprint of the authority (16), checksum (4)>

A host that shows it knows by the fingerprint that it speaks with its own fleet before it says the secret to anyone.
The fingerprint is the first half of the SHA-256 of the authority's certificate: nobody makes another that has it.
"""

import base64
import hashlib
import secrets
import zlib
from dataclasses import dataclass
from typing import Self

PREFIX = "dlrj-"
_ID, _SECRET, _FINGERPRINT, _CHECK = 6, 16, 16, 4
_SIZE = _ID + _SECRET + _FINGERPRINT + _CHECK
_LETTERS = len(base64.b32encode(bytes(_SIZE)).rstrip(b"="))
FINGERPRINT_LETTERS = 2 * _FINGERPRINT


class TokenError(ValueError):
    """A text that is no join token; says what is wrong with it and what to do. Quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token in the hands of who may use it: all in lower-case hexadecimal digits."""

    id: str
    secret: str
    fingerprint: str

    @classmethod
    def make(cls, fingerprint: str) -> Self:
        """Make a new one for the fleet whose authority has that fingerprint."""
        return cls(
            id=secrets.token_hex(_ID),
            secret=secrets.token_hex(_SECRET),
            fingerprint=fingerprint[:FINGERPRINT_LETTERS],
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token as it was pasted, with whatever spaces and line breaks; TokenError."""
        whole = "".join(text.split()).lower()
        if not whole:
            raise TokenError("there is no token in it: give what `dlroverctl token create` printed.")
        if not whole.startswith(PREFIX):
            raise TokenError(
                f"it is no join token: one begins with `{PREFIX}`, and `dlroverctl token create` makes it."
            )
        body = whole.removeprefix(PREFIX)
        if len(body) != _LETTERS:
            raise TokenError(
                f"it has {len(body)} letters after `{PREFIX}`, and a whole token {_LETTERS}: copy all of it again."
            )
        try:
            raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        except ValueError:
            raw = bytes(_SIZE)  # a letter that no token has: as wrong as any other
        content, check = raw[:-_CHECK], raw[-_CHECK:]
        if check != _checksum(content):
            raise TokenError("a letter of it is wrong: copy it again, whole, from where `dlroverctl token create` ran.")
        return cls(
            id=content[:_ID].hex(),
            secret=content[_ID : _ID + _SECRET].hex(),
            fingerprint=content[_ID + _SECRET :].hex(),
        )

    @property
    def text(self) -> str:
        """The token as it is handed on, in one line."""
        content = bytes.fromhex(self.id + self.secret + self.fingerprint)
        return PREFIX + base64.b32encode(content + _checksum(content)).decode().rstrip("=").lower()


def secret_sha256(secret: str) -> str:
    """Give what the log keeps of a token's secret."""
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECK, "big")
