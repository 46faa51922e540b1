"""Free capacity, as a number that rises whenever room appears."""

from dataclasses import replace

from dlroverd.core.state import State


def room_grew(s: State) -> None:
    """Note that a question that found no room may be asked again."""
    s.put(s.meta, "", replace(s.m, capacity=s.m.capacity + 1))
