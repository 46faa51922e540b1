"""What an instant check of ours is made of: a name, and a function that looks."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from dlroverd.plugin_api import CheckContext, CheckLevel, CheckState, CheckVerdict, Figure

_CAP_S = 8.0


@dataclass(frozen=True, slots=True)
class Look:
    """An instant check: what `look` finds."""

    name: str
    look: Callable[[CheckContext], CheckVerdict]
    level: CheckLevel = CheckLevel.INSTANT
    cap_s: float = _CAP_S
    meets: bool = False

    def run(self, context: CheckContext) -> CheckVerdict:
        """Look."""
        return self.look(context)


def ok(sentence: str, *figures: Figure, **facts: str) -> CheckVerdict:
    """All is well."""
    return CheckVerdict(state=CheckState.OK, sentence=sentence, figures=figures, facts=facts)


def bad(sentence: str, *figures: Figure) -> CheckVerdict:
    """It is found bad; the sentence says what to do."""
    return CheckVerdict(state=CheckState.BAD, sentence=sentence, figures=figures)


def unknown(sentence: str) -> CheckVerdict:
    """It cannot be told."""
    return CheckVerdict(state=CheckState.UNKNOWN, sentence=sentence)


def lack(where: str, found: os.statvfs_result, least_bytes: int, least_inodes: int) -> str:
    """Say what a file system is short of, and what to do; "" if of nothing."""
    left = found.f_bavail * found.f_frsize
    if left < least_bytes:
        return f"only {left // 1024**2} MiB are left for {where}: make room"
    if found.f_files and found.f_favail < least_inodes:
        return f"only {found.f_favail} inodes are left for {where}: delete files there"
    return ""
