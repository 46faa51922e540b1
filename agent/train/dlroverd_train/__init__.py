"""What a training script may use inside a rank. Training runs the same when this package is absent.

Imports nothing of dlroverd and nothing outside the standard library, so that it loads in any training
environment from Python 3.9 on. Nothing here may raise, block or cost the training a noticeable moment.
"""

from . import _stacks
from ._notice import Notice, notice
from ._phase import phase
from ._progress import checkpointed, progress
from ._saves import should_checkpoint

__version__ = "0.2.0"
__all__ = ["Notice", "checkpointed", "notice", "phase", "progress", "should_checkpoint"]

_stacks.offer()
