"""Keeps on disk what the agent follows, so that it stays loyal to one log over its own death.

The file holds the environments of jobs: it is readable by the agent alone.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dlroverd_agent.core import Followed

_VERSION = 1
_FOLLOWED = TypeAdapter(Followed)


class StateError(Exception):
    """The state on disk cannot be used; the message is one sentence with the remedy."""


class FollowedFile:
    """`followed.json` in the agent's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "followed.json"

    def load(self) -> Followed:
        """Read it; an agent that never followed a log has none. StateError if it is damaged or too new."""
        try:
            document = json.loads(self._path.read_bytes())
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
        document = {"version": _VERSION, "followed": asdict(followed)}
        temporary = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
