"""The facts of the log about what was found to differ; the others, and what all have in common, are in event.py."""

from dataclasses import dataclass

from dlroverd.model.difference import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceSeen:
    """What runs on a node, is recorded of it and should run there did not agree; see `Difference`."""

    node: str
    difference: Difference
