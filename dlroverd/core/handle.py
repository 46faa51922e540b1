"""One turn of the core: inputs and now go in, a decision comes out.

The embedder's duties, in order: call `handle`; write `record(decision)` durably; only then send the desired
states of `dirty_nodes`, ask the scheduler `questions` and answer the `outcomes`. A decision without events
changed nothing and is not written. After a restart: `apply` every recorded event, then go on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dlroverd.core.apply import begin_turn
from dlroverd.core.intake import (
    audit,
    checkups,
    drills,
    forwarded,
    hangs,
    holds,
    jobs,
    nodes,
    repairs,
    restored,
    scaling,
    topology,
    trust,
)
from dlroverd.core.passes import deadlines, diagnoses, finish, growth, membership, outages, placement, restart
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model import trust_input
from dlroverd.model.limits import Limits


@dataclass(frozen=True, slots=True)
class Decision:
    """What one turn came to. `inputs` are those that changed something; `outcomes` has one entry per input given."""

    position: int
    now: float
    inputs: tuple[inp.Input, ...]
    events: tuple[ev.Event, ...]
    outcomes: tuple[Outcome, ...]
    dirty_nodes: tuple[str, ...]
    questions: tuple[int, ...]


def handle(state: State, inputs: Sequence[inp.Input], now: float, limits: Limits) -> Decision:
    """Take inputs in order, then whatever is due at `now`; on an exception the state is as before."""
    state.begin()
    try:
        turn = Turn(state, max(now, state.m.now), limits)
        begin_turn(state, state.m.position + 1, turn.now)
        effective: list[inp.Input] = []
        outcomes: list[Outcome] = []
        for item in inputs:
            before = len(turn.events)
            outcomes.append(_INTAKE[type(item)](turn, item))
            _settle(turn)
            if len(turn.events) > before:
                effective.append(forwarded.bare(item) if isinstance(item, inp.EventsForwarded) else item)
        outages.notice(turn)
        before = len(turn.events)
        deadlines.run(turn)
        _settle(turn)
        if len(turn.events) > before:
            effective.append(inp.Tick())
    except BaseException:
        state.rollback()
        raise
    if turn.events:
        state.commit()
    else:
        state.rollback()
    return Decision(
        position=state.m.position,
        now=turn.now,
        inputs=tuple(effective),
        events=tuple(turn.events),
        outcomes=tuple(outcomes),
        dirty_nodes=tuple(sorted(turn.dirty_nodes)),
        questions=tuple(e.job for e in turn.events if isinstance(e, ev.PlacementAsked)),
    )


def _settle(turn: Turn) -> None:
    """Run the passes over what was touched until nothing more follows. Ends: each state table is acyclic in a turn."""
    while turn.touched_gangs or turn.touched_jobs:
        gangs, turn.touched_gangs = sorted(turn.touched_gangs), set()
        for key in gangs:
            membership.advance(turn, key)
        if turn.touched_gangs:
            continue
        touched, turn.touched_jobs = sorted(turn.touched_jobs), set()
        for job in touched:
            restart.decide(turn, job)
            finish.conclude(turn, job)
            growth.arm(turn, job)
    placement.ask(turn)


def _tick(turn: Turn, item: inp.Tick) -> Outcome:  # noqa: ARG001 - due deadlines run at the end of every turn
    return Done()


_INTAKE: dict[type, Callable[[Turn, Any], Outcome]] = {
    inp.Submit: jobs.submit,
    inp.Cancel: jobs.cancel,
    inp.Restart: jobs.restart,
    inp.Suspend: scaling.suspend,
    inp.Resume: scaling.resume,
    inp.Scale: scaling.scale,
    inp.GangStepped: jobs.stepped,
    inp.GangCheckpointed: scaling.checkpointed,
    inp.GangPaced: scaling.paced,
    inp.GangStalled: hangs.stalled,
    inp.HangFound: hangs.judged,
    inp.GangMovedOn: hangs.moved_on,
    inp.PlacementAnswered: placement.answered,
    inp.NodeHello: nodes.hello,
    inp.NodeReport: nodes.report,
    inp.NodeSilent: nodes.silent,
    inp.StillSilent: nodes.still_silent,
    inp.AdoptNode: nodes.adopt,
    inp.ConfirmDown: nodes.confirm_down,
    inp.HoldNodes: holds.hold,
    inp.ReleaseNodes: holds.release,
    inp.ClearNodes: repairs.clear,
    inp.PauseAutomation: holds.pause,
    inp.ResumeAutomation: holds.resume,
    inp.OrderDrill: drills.order,
    inp.AskCheckup: checkups.ask,
    inp.StorageChanged: jobs.storage,
    inp.TopologySet: topology.take,
    inp.DifferenceFound: audit.found,
    inp.WorldDiagnosed: diagnoses.take,
    inp.StateRestored: restored.take,
    inp.EventsForwarded: forwarded.take,
    trust_input.CreateToken: trust.create,
    trust_input.RevokeToken: trust.revoke_token,
    trust_input.Enrol: trust.enrol,
    trust_input.RevokeCertificates: trust.revoke,
    inp.Tick: _tick,
}
