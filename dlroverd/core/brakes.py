"""What keeps automation from doing too much: a person's pause, and limits on how many nodes it takes out of use.

Every node that automation removes passes `refusal` first, in the same turn; each promise here is one line of it.
"""

from dlroverd.core.state import State
from dlroverd.model.limits import AutomationLimits


def refusal(state: State, node: str, limits: AutomationLimits) -> str:
    """Say which brake keeps automation from taking a node out of use now; "" if none does."""
    automation, total = state.m.automation, len(state.nodes)
    if automation.paused_by:
        return f"automation was paused by {automation.paused_by} ({automation.reason})"
    allowed = allowance(state, limits)
    recent = removals(state, limits)
    if len(recent) >= allowed:
        return (
            f"automation has taken {len(recent)} nodes out of use within {limits.window_s:g} s, and may take {allowed}"
        )
    left = _left(state, node)
    if not enough_without(state, node, limits):
        return (
            f"{left} of {total} nodes would be usable without it, and automation leaves at least "
            f"{limits.ready_share:.0%} of them"
        )
    return ""


def enough_without(state: State, node: str, limits: AutomationLimits) -> bool:
    """Whether as many nodes as automation has to leave are usable without this one."""
    return _left(state, node) >= limits.ready_share * len(state.nodes)


def _left(state: State, node: str) -> int:
    return len(state.usable) - (node in state.usable)


def allowance(state: State, limits: AutomationLimits) -> int:
    """Give how many nodes automation may take out of use within one window."""
    return max(limits.nodes, int(limits.share * len(state.nodes)))


def removals(state: State, limits: AutomationLimits) -> tuple[tuple[float, str], ...]:
    """Give what automation has taken out of use within the window that ends now, as (when, node)."""
    return tuple(each for each in state.m.automation.removals if each[0] > state.m.now - limits.window_s)
