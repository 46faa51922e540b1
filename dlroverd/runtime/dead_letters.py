"""The events that a sink can never have, kept beside the log with the reason: `state_dir/dead-letters/SINK.jsonl`."""

from pathlib import Path

from dlroverd.builtin.file_sink import line
from dlroverd.builtin.line_file import LineFile
from dlroverd.model.view import EventView
from dlroverd.store.directory import sync_directory

_ROTATE_BYTES = 16 * 1024 * 1024
_KEEP = 3


class DeadLetters:
    """One sink's. Calls block: they sync."""

    def __init__(self, directory: Path, sink: str) -> None:
        """Nothing is made before there is a letter."""
        self.path = directory / f"{sink}.jsonl"
        self._file: LineFile | None = None

    def put(self, letters: list[tuple[EventView, str]]) -> None:
        """Make events durable, each as its sink would have got it, and `why` it could not; OSError if that fails."""
        if self._file is None:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.path.parent.parent)
            self._file = LineFile(str(self.path), _ROTATE_BYTES, _KEEP)
        self._file.append(b"".join(line(event, why=why) for event, why in letters))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
