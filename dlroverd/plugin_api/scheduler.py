"""What a scheduler plugin gives."""

from typing import Protocol, runtime_checkable

from dlroverd.model.placement import NoFit, Placement, PlacementView, Preempt


@runtime_checkable
class Scheduler(Protocol):
    """Says where the gangs of a job go."""

    def place(self, view: PlacementView) -> Placement | NoFit | Preempt:
        """Give every gang of `view.request` its nodes, or none of them.

        Or place one of `view.queue` instead (`Placement.job`), or have some of `view.running` make room.

        The same view must get the same answer. Past the deadline (`placing_s`, 2 s), on an exception, and
        when the answer breaks a rule, the built-in rule decides instead.
        """
        ...
