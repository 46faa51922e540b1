"""What a scheduler plugin gives."""

from typing import Protocol, runtime_checkable

from dlroverd.model.placement import NoFit, Placement, PlacementView


@runtime_checkable
class Scheduler(Protocol):
    """Says where the gangs of a job go."""

    def place(self, view: PlacementView) -> Placement | NoFit:
        """Give every gang of `view.request` its nodes, or none of them.

        The same view must get the same answer. Past the deadline (`placing_s`, 2 s), on an exception, and
        when the answer breaks a rule, the built-in rule decides instead.
        """
        ...
