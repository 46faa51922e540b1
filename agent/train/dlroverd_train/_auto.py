"""Counts the optimizer steps of a script that knows nothing of us, for jobs that say `progress: auto`.

It waits until the script itself has imported torch, and then registers torch's public hook for all optimizers. One
training step is counted whenever an optimizer steps that has already stepped within the newest one: two optimizers that
take turns count once, and so does one that another replaces. A count goes on from the optimizer's own, if it keeps one
in its state (Adam does), so that it is right after a restart from a checkpoint.

The first step of a page that somebody else writes to, such as the script with `progress`, is the last one counted.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from . import _progress, _work

_MOST_OPTIMIZERS = 4096
# Those of torch that compile as a whole: a hook that breaks their graph would end a script that says `fullgraph=True`.
_WHOLE = ("torch.optim._adafactor", "torch.optim._muon", "torch.optim.lbfgs", "torch.optim.sparse_adam")


class _Steps:
    """The steps of this process, as far as they are on the page."""

    def __init__(self) -> None:
        self.ours = True
        self._count = 0
        self._within: set[int] = set()
        self._written = b""

    def stepped(self, optimizer: Any) -> None:
        """Count a step, if it is one."""
        if not self.ours:
            return
        if self._count and id(optimizer) not in self._within and len(self._within) < _MOST_OPTIMIZERS:
            self._within.add(id(optimizer))
            return
        self._within = {id(optimizer)}
        self._count = self._count + 1 if self._count else _steps_of(optimizer)
        if _progress.is_due():
            self.write()
        _work.stepped()

    def write(self) -> None:
        """Put the newest step on the page, unless somebody else writes there, or there is none."""
        if not self.ours or not self._count:
            return
        if _progress.record() != self._written:
            self.ours = False  # that one says its steps itself
            _work.stop()
            return
        _progress.write_step(self._count)
        self._written = _progress.record()


class _Watch:
    """An importer that finds nothing: it sees that something is imported, and that torch has been meanwhile."""

    def __init__(self) -> None:
        self._hooked = self._compiles = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Look at what has been imported; others find what is to be."""
        del path, target
        if not self._compiles and name.startswith("torch"):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - a torch that is not as we know it: steps are not counted
                self._compiles = True

    def _look(self) -> None:
        """Hook into torch, and into its compiler, as soon as each is there."""
        if not self._hooked:
            register = getattr(sys.modules.get("torch.optim.optimizer"), "register_optimizer_step_post_hook", None)
            if register is not None:
                self._hooked = True  # first: another thread may import, too
                register(_stepped)
        if self._hooked and hasattr(sys.modules.get("torch._dynamo"), "disable"):
            self._compiles = True
            _step_around(sys.modules["torch"].compiler)


def begin() -> None:
    """Count from now on, in this process and not in those that it forks."""
    sys.meta_path.insert(0, _Watch())
    atexit.register(_finish)
    os.register_at_fork(after_in_child=_forked)


def _stepped(optimizer: Any, _args: object, _kwargs: object) -> None:
    """Be torch's hook. A compiler may trace this, so that it must not matter to it."""
    if _is_compiling() and not _breaks(type(optimizer).__module__):
        return
    _count(optimizer)


def _breaks(module: str) -> bool:
    """Say whether the steps of a class from this module break the compiler's graph in any case."""
    return module.startswith("torch.optim.") and module not in _WHOLE


def _count(optimizer: Any) -> None:
    try:
        _steps.stepped(optimizer)
    except Exception:  # noqa: BLE001 - a page that cannot be read, or a state of a strange shape
        _steps.ours = False


def _finish() -> None:
    try:
        _steps.write()
    except OSError:
        pass  # a page that cannot be read


def _is_compiling() -> bool:
    return False


def _step_around(compiler: Any) -> None:
    """Keep the compiler out of the count."""
    global _count, _is_compiling
    _count, _is_compiling = compiler.disable(_count), compiler.is_compiling


def _steps_of(optimizer: Any) -> int:
    """Give how many steps an optimizer says that it has made; 1 if it does not, or not without waiting for a device."""
    for state in optimizer.state.values():
        made = state.get("step", 1)
        return max(1, int(made)) if getattr(getattr(made, "device", None), "type", "cpu") == "cpu" else 1
    return 1


def _forked() -> None:
    _steps.ours = False


_steps = _Steps()
