"""Keeps on disk what the agent follows, so that it stays loyal to one log over its own death.

The file holds the environments of jobs: it is readable by the agent alone.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from pydantic import TypeAdapter, ValidationError

from dlroverd_agent.core import Followed
from dlroverd_agent.durable import sync_folder

_VERSION = 1
_FOLLOWED = TypeAdapter(Followed)


class StateError(Exception):
    """The state on disk cannot be used; the message is one sentence with the remedy."""


class FollowedFile:
    """`followed.json` in the agent's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "followed.json"
        self._content = b""
        self._lock = Lock()  # a save and a look are in threads of their own

    def load(self) -> Followed:
        """Read it; an agent that never followed a log has none. StateError if it is damaged or too new."""
        try:
            self._content = self._path.read_bytes()
            document = json.loads(self._content)
            if document["version"] > _VERSION:
                raise StateError(f"{self._path} is from a newer dlroverd-agent: install that version again.")
            return _FOLLOWED.validate_python(document["followed"])
        except FileNotFoundError:
            return Followed()
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            reason = "it cannot be read" if isinstance(error, OSError) else "it is damaged"
            raise StateError(
                f"{self._path}: {reason}, and it says which daemon this node obeys. Restore it; or move it away, "
                "and the node obeys the first daemon that it meets. Ranks are not touched either way."
            ) from error

    def save(self, followed: Followed) -> None:
        """Write it durably, whole or not at all. Blocking; OSError if the disk does not take it."""
        content = json.dumps({"version": _VERSION, "followed": asdict(followed)}).encode()
        with self._lock:
            self._write(content)
            self._content = content

    def difference(self) -> str:
        """Say how it differs from what was read or written last; "" if it does not. Blocking."""
        with self._lock:
            try:
                found = self._path.read_bytes()
            except FileNotFoundError:
                return f"{self._path} was removed" if self._content else ""
            except OSError as error:
                return f"{self._path} cannot be read: {error.strerror}"
            return "" if found == self._content else f"{self._path} was changed by someone else"

    def _write(self, content: bytes) -> None:
        temporary = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        sync_folder(self._path.parent)
