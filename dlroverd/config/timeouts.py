"""Every limit there is: its value, where it is set, and what happens when it is reached.

Read off the schemas, so a limit cannot be added and forgotten here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dlroverd.config.schema import Section, settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """One limit. `file` is where `key` is set, or could be; `value` is as it would be written there."""

    key: str
    value: str
    file: str
    is_set: bool
    fires: str


def timeouts(sections: Mapping[str, Section]) -> tuple[Timeout, ...]:
    """List the limits of configurations, given by the name of the file each is read from."""
    return tuple(
        Timeout(key=entry.key, value=str(entry.value), file=file, is_set=entry.is_set, fires=entry.fires)
        for file, section in sections.items()
        for entry in settings(section)
        if entry.fires
    )
