"""What the checks of a node came to. Questions about the state; changes nothing."""

from dlroverd.core.state import State
from dlroverd.model.checkup import CheckResult, CheckState


def failed(state: State, node: str) -> str:
    """Name the check that a node itself did not pass when it was last made; "" if it passed all."""
    record = state.checkups.get(node)
    for each in record.results if record is not None else ():
        if each.state is CheckState.BAD and not each.of_job:
            return f"it did not pass the check {each.check}: {each.sentence}"
    return ""


def drift(mine: tuple[CheckResult, ...], other: tuple[CheckResult, ...], node: str) -> str:
    """Say in what a node's versions differ from those of `node`; "" if in nothing that both tell."""
    here = {name: value for each in mine for name, value in each.facts.items()}
    there = {name: value for each in other for name, value in each.facts.items()}
    unlike = [name for name in sorted(here.keys() & there.keys()) if here[name] != there[name]]
    return "; ".join(f"{name} is {here[name]}, and {there[name]} on {node}" for name in unlike[:4])
