"""What was heard in this boot, kept over restarts of the agent: so nothing is told twice, and nothing is left out.

Of use within one boot only: it need not survive a power cut.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from dlroverd.model.signal import Signal
from dlroverd_agent.launchers.files import boot_id
from dlroverd_agent.signals.gathering import Key

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The newest signals, how far the kernel's log was read, and what counters were last."""

    boot: str
    signals: tuple[Signal, ...] = ()
    cursor: str = ""
    counters: tuple[tuple[Key, float], ...] = ()


_KEPT = TypeAdapter(Kept)


class SignalsFile:
    """`signals.json` in the agent's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "signals.json"
        self._failed = False

    def load(self) -> Kept:
        """Read what was kept in this boot; nothing if there is none. Blocking."""
        fresh = Kept(boot=boot_id())
        try:
            kept = _KEPT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return fresh
        except (OSError, ValidationError) as error:
            _log.warning("what kernel and drivers said before cannot be read; it is heard anew", error=str(error))
            return fresh
        return kept if kept.boot == fresh.boot else fresh

    def save(self, kept: Kept) -> None:
        """Write it, whole or not at all. Blocking."""
        new = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(new, flags, 0o600), "wb") as file:
                file.write(_KEPT.dump_json(kept))
            new.rename(self._path)
        except OSError as error:
            if not self._failed:
                _log.warning("what kernel and drivers say cannot be kept on disk; make room", error=str(error))
            self._failed = True
        else:
            self._failed = False
