"""What each rank has for itself and keeps whole: a data loader's place, random states."""

from __future__ import annotations

import io
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.stateful import Stateful


class OfRank:
    """A part of the state that is each rank's own: `{"loader": OfRank(loader)}` for torchdata's StatefulDataLoader.

    It may have another structure at each save. It loads on the rank that saved it; where there are more ranks than had
    saved, the load says what is missing.
    """

    def __init__(self, part: Stateful) -> None:
        self._part = part

    def state_dict(self) -> dict[str, Any]:
        """Give it as one value under the rank's name."""
        content = io.BytesIO()
        torch.save(self._part.state_dict(), content)
        return {_name(): content.getvalue()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give the part back what it was. It comes from this job's own ranks, as all values that are no tensors."""
        self._part.load_state_dict(torch.load(io.BytesIO(state[_name()]), weights_only=False))


def _name() -> str:
    return f"rank{dist.get_rank() if dist.is_available() and dist.is_initialized() else 0}"
