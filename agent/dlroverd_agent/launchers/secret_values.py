"""The secrets of a rank, read in the process that becomes it: no other one of ours ever has them.

A job's specification, and so the log, names where a secret is. A file is read as the job's user, so that the kernel
says who may; a credential, which an administrator left for that user, as root, before the change of user. The value is
then in the rank's environment, which its user and root alone can read, and nowhere else. Standard library alone.
"""

import errno
import os
import stat
import subprocess
from collections.abc import Iterable, Sequence

MOST_BYTES = 64 * 1024
# Systemd's, each beside one of the same name for encrypted ones.
STORES = ("/etc/credstore", "/run/credstore")
_DECRYPT_S = 10.0

# A name in the environment, the path of a file or "", the name of a credential or "".
Reference = Iterable[tuple[str, str, str]]


def of_host(secrets: Reference, user: str, stores: Sequence[str] = STORES) -> dict[str, str]:
    """Read those that are credentials, as root. ValueError says in one sentence which cannot be had, and why."""
    return {
        name: _text(name, _credential(name, f"dlroverd.{user}.{credential}", stores))
        for name, _, credential in secrets
        if credential
    }


def of_user(secrets: Reference) -> dict[str, str]:
    """Read those that are files, as the job's user. ValueError as above."""
    return {name: _text(name, _file(name, path)) for name, path, _ in secrets if path}


def _text(name: str, content: bytes) -> str:
    """Give a secret without the newline that editors end a file with."""
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if b"\0" in content:
        raise ValueError(f"secret {name} holds a NUL character, which no environment can")
    return os.fsdecode(content)


def _file(name: str, path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file")
            content = os.read(descriptor, MOST_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ValueError(f"secret {name} cannot be read from {path} ({error.strerror})") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"secret {name} in {path} is larger than {MOST_BYTES // 1024} KiB")
    return content


def _credential(name: str, entry: str, stores: Sequence[str]) -> bytes:
    """Read what an administrator left for a user in one of the stores."""
    for store in stores:
        plain, encrypted = os.path.join(store, entry), os.path.join(f"{store}.encrypted", entry)
        if os.path.lexists(plain):
            return _file(name, plain)
        if os.path.lexists(encrypted):
            return _decrypted(name, encrypted)
    raise ValueError(f"secret {name} needs the credential {entry}, which is in none of {', '.join(stores)}")


def _decrypted(name: str, path: str) -> bytes:
    try:
        done = subprocess.run(
            ["/usr/bin/systemd-creds", "decrypt", path, "-"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_DECRYPT_S,
        )
    except (OSError, subprocess.SubprocessError):
        raise ValueError(f"secret {name} cannot be decrypted from {path} by systemd-creds") from None
    return done.stdout
