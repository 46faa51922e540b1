"""Hears out a rank that is to be stopped: its error names the cause, and must not be cut off."""

import asyncio

from dlroverd_agent import evidence
from dlroverd_agent.launchers.files import RankFiles

# A complete traceback cannot be awaited: the output is looked at so often.
_LOOK_S = 0.01


async def until_said(files: RankFiles) -> None:
    """Return once the rank has said why it fails and has fallen silent; else never."""
    size = judged = -1
    while True:
        before, size = size, evidence.written_bytes(files)
        # Silent for one look: a chained traceback follows at once, and is not to be cut off.
        if size == before != judged:
            if evidence.is_complete(files):
                return
            judged = size
        await asyncio.sleep(_LOOK_S)
