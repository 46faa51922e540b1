"""The default scheduler: the built-in rule, for one job at a time, by priority and then in the order of submission."""

from collections.abc import Callable

from dlroverd.plugin_api import (
    FreeIndex,
    NoFit,
    Placement,
    PlacementView,
    Preempt,
    Scheduler,
    hookimpl,
    place_or_preempt,
)

DLROVERD_API = 1


class FifoScheduler:
    """Places by `place_or_preempt`."""

    def place(self, view: PlacementView) -> Placement | NoFit | Preempt:
        """Answer from the view alone; nobody overtakes."""
        return place_or_preempt(FreeIndex(view.nodes), view.request, view.running)


@hookimpl
def dlroverd_register_scheduler(register: Callable[[Scheduler], None]) -> None:
    """Hand over the default scheduler."""
    register(FifoScheduler())
