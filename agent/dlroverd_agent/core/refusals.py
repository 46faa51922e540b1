"""Which desired states are not this node's to follow."""

from dlroverd.model.world import Desired
from dlroverd_agent.core.actions import Followed


def broken(desired: Desired) -> str:
    """Say what is wrong with a message in itself; "" if nothing is."""
    roles = {(each.job, role.name) for each in desired.jobs for role in each.spec.roles}
    for each in desired.assignments:
        if (each.round.job, each.round.role) not in roles:
            return f"The daemon wants {each.round} run but sent no spec of it; that message is ignored."
    if not desired.log_id:
        return "The daemon sent a desired state of no log; that message is ignored."
    return ""


def not_followed(desired: Desired, mine: Followed, node: str) -> str:
    """Say why a desired state is not for `node`, which follows `mine`; "" if it is."""
    remedy = f"if that is meant, `dlroverctl node adopt {node}`; until then nothing changes here"
    if mine.log_id and desired.log_id != mine.log_id:
        return (
            f"The daemon speaks of log {desired.log_id[:8]}, and this node follows log {mine.log_id[:8]}: "
            f"another daemon, or its state was wiped; {remedy}."
        )
    if mine.log_id and desired.position < mine.position:
        return (
            f"The daemon's log is at position {desired.position}, and this node has followed it to "
            f"{mine.position}: its state is an old copy; {remedy}."
        )
    return ""
