"""What kernels and drivers say of hosts and devices: by the table it is noted, counts against them, or ends their use.

Every action goes the way that reputation goes, past the same brakes. What an application did itself is noted only.
"""

from dlroverd.core import signals
from dlroverd.core.passes import faults, reputation
from dlroverd.core.records import NodeRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.hold import AUTOMATION, HoldKind
from dlroverd.model.signal import KEPT, Signal, SignalAction, SignalRule, SignalSeverity
from dlroverd.model.world import Observed

# What was said longer ago ends no world: one that runs all the same does not suffer from it.
_FRESH_S = 120.0
# Doubt about one thing grows by one sign a day at most, however often that is said.
_DOUBT_EVERY_S = 86400.0


def told(turn: Turn, node: str, observed: Observed) -> None:
    """Take what a node says of its health; its agent goes on saying it, and each is one event."""
    if not observed.signals:
        return  # as most often
    known = {each.signal for each in turn.state.nodes[node].signals}
    for signal in observed.signals[-KEPT:]:
        if signal not in known:
            _take(turn, node, signal)


def _take(turn: Turn, node: str, signal: Signal) -> None:
    record, table = turn.state.nodes[node], turn.limits.signals
    rule = table.rule(signal.name)
    action, then, done = SignalAction.NOTE, "", ["nothing: the table of signals has no row for it"]
    if rule is not None:
        action, then = _step(turn, record, signal, rule)
        done = [*_end_worlds(turn, node, signal, rule), _act(turn, record, signal, rule, action)]
    turn.emit(
        ev.SignalSeen(
            node=node,
            signal=signal,
            boot_id=record.boot_id,
            severity=rule.severity if rule is not None else SignalSeverity.INFO,
            action=action,
            sentence=_sentence(node, signal, rule),
            done="; ".join(done),
            then=then,
            table=table.version if rule is not None else "",
        )
    )


def _sentence(node: str, signal: Signal, rule: SignalRule | None) -> str:
    said = f"{rule.says} ({signal.detail})" if rule is not None else signal.detail
    return f"{signals.thing(node, signal)}: {signal.name}, {said}"


def _step(turn: Turn, node: NodeRecord, signal: Signal, rule: SignalRule) -> tuple[SignalAction, str]:
    """Say what follows, and what people do next: more if it has come often."""
    repeat = rule.repeat
    if repeat is None:
        return rule.action, rule.then
    since = turn.now - repeat.within_s if repeat.within_s else 0.0
    often = signals.counted(node, signal, since) + signal.count >= repeat.count
    return (repeat.action, repeat.then) if often else (rule.action, rule.then)


def _end_worlds(turn: Turn, node: str, signal: Signal, rule: SignalRule) -> list[str]:
    """Fail the worlds that have a device which is of no use any more: they would wait for it."""
    if rule.severity is not SignalSeverity.FATAL or not signal.device or signal.at < turn.now - _FRESH_S:
        return []
    ended = []
    for key in sorted(turn.state.node_gangs.get(node, ())):
        gang, grant = turn.state.gangs[key], turn.state.grants[node, key]
        if signal.device in grant.devices and gang.state in LIVE_GANG:
            kind = rule.cause or CauseKind.DEVICE_ERROR
            sentence = _sentence(node, signal, rule)
            cause = Cause(kind=kind, rule=f"{signals.RULE}{rule.signal}", sentence=sentence, node=node)
            faults.fail_gang(turn, key, turn.now, cause)
            ended.append(f"job {key.job} was stopped, to restart without it")
    return ended


def _act(turn: Turn, node: NodeRecord, signal: Signal, rule: SignalRule, action: SignalAction) -> str:
    """Let the sign count, and say what came of it."""
    if action is SignalAction.NOTE:
        return "noted; it does not speak against the node"
    if reputation.worked_on(node):
        return "noted; somebody works on the node"
    kind, sentence = f"{signals.RULE}{rule.signal}", _sentence(node.id, signal, rule)
    if action is SignalAction.DOUBT:
        if _doubted(node, signal, turn.now):
            return "noted; it counts once a day"
        reputation.signalled(turn, node.id, signal.device, kind, sentence, alone=False)
        return _came_of(turn.state, node.id, "it counts against the node: others are taken first")
    reputation.signalled(turn, node.id, signal.device, kind, sentence, alone=True)
    return _came_of(turn.state, node.id, "it counts against the node")


def _doubted(node: NodeRecord, signal: Signal, now: float) -> bool:
    same = [
        each
        for each in node.signals
        if each.action is SignalAction.DOUBT and not each.cleared and each.signal.at > now - _DOUBT_EVERY_S
    ]
    return any((each.signal.name, each.signal.device) == (signal.name, signal.device) for each in same)


def _came_of(state: State, node: str, otherwise: str) -> str:
    """Say what automation has made of a node."""
    if any((hold.owner, hold.kind) == (AUTOMATION, HoldKind.QUARANTINE) for hold in state.nodes[node].holds):
        return "the node is quarantined"
    finding = state.findings.get(node)
    if finding is None:
        return otherwise
    if finding.held_back:
        return f"the node is not quarantined: {finding.held_back}"
    return (
        f"a quarantine is {'advised' if finding.stage.value == 'advise' else 'noted'}, as `automation.quarantine` says"
    )
