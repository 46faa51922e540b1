"""What people say of whole nodes: out of use, and why; in use again; and whether automation may act."""

from dataclasses import replace

from dlroverd.core.passes import holds, reputation
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.hold import AUTOMATION, Hold, HoldKind, Maintenance


def hold(turn: Turn, item: inp.HoldNodes) -> Outcome:
    """Take nodes out of use, all that are named or none; what the owner holds in that way is brought up to date."""
    refused = unknown(turn.state, item.nodes)
    if refused is not None:
        return refused
    if item.owner == AUTOMATION:
        return Refused(
            "invalid", f"The name {AUTOMATION} is automation's own; hold the nodes in another name (`--owner`)."
        )
    for name in dict.fromkeys(item.nodes):
        wanted = _wanted(turn, item, name)
        if wanted not in turn.state.nodes[name].holds:
            turn.emit(ev.NodeHeld(node=name, hold=wanted, actor=item.actor))
            holds.empty(turn, name, wanted)
    return Done()


def _wanted(turn: Turn, item: inp.HoldNodes, name: str) -> Hold:
    node = turn.state.nodes[name]
    maintenance = None
    if item.kind is HoldKind.MAINTENANCE:
        devices = tuple(sorted(device.uuid for device in node.facts.devices))
        maintenance = Maintenance(
            reboot=item.reboot, until_checked=item.until_checked, boot_id=node.boot_id, devices=devices
        )
    wanted = Hold(
        owner=item.owner,
        kind=item.kind,
        reason=item.reason,
        since=turn.now,
        request=item.request_id,
        mode=item.mode,
        deadline=turn.now + item.deadline_s if item.deadline_s else 0.0,
        maintenance=maintenance,
    )
    known = next((each for each in node.holds if (each.owner, each.kind) == (item.owner, item.kind)), None)
    if known is None:
        return wanted
    if known.request == item.request_id:
        return known  # the same request again
    return replace(wanted, since=known.since, request=known.request)


def release(turn: Turn, item: inp.ReleaseNodes) -> Outcome:
    """Let go of nodes in one owner's name; what others hold stays."""
    state = turn.state
    refused = unknown(state, item.nodes)
    if refused is not None:
        return refused
    released = False
    for name in dict.fromkeys(item.nodes):
        for each in state.nodes[name].holds:
            wanted = item.kind in (None, each.kind) and item.request in ("", each.request)
            if each.owner == item.owner and wanted:
                released = True
                turn.emit(ev.NodeReleased(node=name, owner=each.owner, kind=each.kind, actor=item.actor))
                if each.owner == AUTOMATION:
                    reputation.pardon(turn, name, f"it was put back by {item.actor}")
                holds.let_go(turn, name, item.owner)
    return Done() if released else _held_by_others(state, item)


def _held_by_others(state: State, item: inp.ReleaseNodes) -> Refused:
    others = {each.owner: name for name in item.nodes for each in state.nodes[name].holds if each.owner != item.owner}
    if not others:
        return Refused("not_held", f"{item.owner} holds none of these nodes; see `dlroverctl node list`.")
    owner, name = min(others.items())
    return Refused(
        "held_by_others",
        f"{item.owner} holds none of these nodes: {name} is held by {owner}; "
        f"to let go in that name: `dlroverctl node uncordon {name} --owner {owner}`.",
    )


def unknown(state: State, nodes: tuple[str, ...]) -> Refused | None:
    """Refuse nodes that are not known; None if all are."""
    missing = [name for name in nodes if name not in state.nodes]
    if not missing:
        return None
    return Refused("not_found", f"There is no node {', '.join(missing[:4])}; see `dlroverctl node list`.")


def pause(turn: Turn, item: inp.PauseAutomation) -> Outcome:
    """Stop what automation does by itself."""
    known = turn.state.m.automation
    if (known.paused_by, known.reason) != (item.actor, item.reason):
        turn.emit(ev.AutomationPaused(actor=item.actor, reason=item.reason))
    return Done()


def resume(turn: Turn, item: inp.ResumeAutomation) -> Outcome:
    """Let automation act again, at once on what it would have done meanwhile."""
    if turn.state.m.automation.paused_by:
        turn.emit(ev.AutomationResumed(actor=item.actor))
        for node in sorted(turn.state.findings):
            reputation.reconsider(turn, node)
    return Done()
