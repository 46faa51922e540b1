"""What was written, and where: plain data beside the place each part of it came from.

YAML files and command lines both become a Document, so that one translation turns every refusal into a
sentence that names its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]


class ConfigError(Exception):
    """What was written cannot be used. `sentences` says why, each with its place and the remedy."""

    def __init__(self, sentences: Sequence[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = tuple(sentences)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (texts, lists, mappings, None), and the mark that precedes a sentence about each part.

    A mark is complete in itself: `job.yaml:3:1: nnodes` or `--nnodes`.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[KeyPath, str] = field(default_factory=dict)

    def error(self, path: KeyPath, text: str) -> ConfigError:
        """Make the error that says `text` of the part at `path`."""
        return ConfigError([self.sentence(path, text)])

    def sentence(self, path: KeyPath, text: str) -> str:
        """Put the place of `path` (its own, or the nearest above it that was written) before `text`."""
        known = next((n for n in range(len(path), 0, -1) if path[:n] in self.marks), 0)
        rest = ".".join(str(key) for key in path[known:])
        if known:
            place = self.marks[path[:known]] + (f".{rest}" if rest else "")
        else:
            place = f"{self.name}: {rest}" if rest else self.name
        return f"{place}: {text}"
