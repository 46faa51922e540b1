"""The notice: whether, why and by when this rank will be stopped on purpose.

The agent leaves it as a file, put in place whole; dlroverd_agent/notices.py writes it.
"""

import json
import os
from typing import NamedTuple, Optional


class Notice(NamedTuple):
    """Why this rank will be stopped, and when at the latest (wall clock, seconds)."""

    reason: str
    by: float


_seen = (0, 0)  # which file was read last: its inode, and when it was written
_known: Optional[Notice] = None  # noqa: UP045 - Python 3.9


def notice() -> Optional[Notice]:  # noqa: UP045 - Python 3.9
    """Give the notice that stands, None if there is none. One look at a file's status; never raises.

    Save a checkpoint and say so (`checkpointed`): the stop then follows at once, instead of at the time it gives.
    """
    global _seen, _known
    try:
        status = os.stat(os.environ["DLROVERD_NOTICE_FILE"])
        if _seen != (status.st_ino, status.st_mtime_ns):
            with open(os.environ["DLROVERD_NOTICE_FILE"], encoding="utf-8") as file:
                values = json.load(file)
            _seen, _known = (status.st_ino, status.st_mtime_ns), Notice(str(values["reason"]), float(values["by"]))
        return _known
    except (OSError, KeyError, ValueError, TypeError):
        return None  # outside dlroverd, and as long as nothing is planned
