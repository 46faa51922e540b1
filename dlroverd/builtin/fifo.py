"""The default scheduler: the built-in rule of placement, for one job at a time in the order of submission."""

from collections.abc import Callable

from dlroverd.plugin_api import FreeIndex, NoFit, Placement, PlacementView, Scheduler, hookimpl, place

DLROVERD_API = 1


class FifoScheduler:
    """Places by `place`."""

    def place(self, view: PlacementView) -> Placement | NoFit:
        """Answer from the free nodes of the view alone."""
        return place(FreeIndex(view.nodes), view.request)


@hookimpl
def dlroverd_register_scheduler(register: Callable[[Scheduler], None]) -> None:
    """Hand over the default scheduler."""
    register(FifoScheduler())
