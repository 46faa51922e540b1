"""Faults made on purpose: each is carried out once, and only on the word of the daemon that is followed."""

from dlroverd_agent.core import Acked, AgentCore, CarryOut, Connected, DesiredArrived, Followed, Reconnect, Recovered

from dlroverd.model.world import Desired, Drill, DrillKind


def told(core: AgentCore, position: int, *drills: int, log: str = "A", adopt_from: str = "") -> list[int]:
    """Give the ids of the drills that follow from a desired state."""
    ordered = tuple(Drill(id=number, kind=DrillKind.KILL_AGENT) for number in drills)
    wanted = Desired(log_id=log, position=position, adopt_from=adopt_from, drills=ordered)
    actions = core.handle(DesiredArrived(wanted), 0.0)
    assert not adopt_from or Reconnect() in actions
    return [action.drill.id for action in actions if isinstance(action, CarryOut)]


def connected(core: AgentCore, *, acknowledged: bool = True) -> AgentCore:
    core.handle(Connected(core.version), 0.0)
    if acknowledged:
        core.handle(Acked(core.version), 0.0)
    return core


def fresh() -> AgentCore:
    core = AgentCore("n1", Followed())
    core.handle(Recovered(()), 0.0)
    return core


def test_a_drill_is_carried_out_once_however_often_it_is_told() -> None:
    core = connected(fresh())
    assert told(core, 10, 3) == [3]
    assert told(core, 10, 3) == []
    assert told(core, 12, 3, 5) == [5]
    assert told(core, 13) == []
    assert told(core, 14, 5) == []


def test_another_daemon_is_not_obeyed_and_one_that_is_adopted_counts_from_the_beginning() -> None:
    core = connected(fresh())
    assert told(core, 10, 7) == [7]
    assert told(core, 2, 1, log="B") == []
    # What it ordered before the new session may be old.
    assert told(core, 2, 1, log="B", adopt_from="A") == []
    connected(core)
    assert told(core, 3, 2, log="B") == [2]


def test_what_is_told_before_the_hello_is_acknowledged_may_be_old() -> None:
    core = connected(fresh(), acknowledged=False)
    assert told(core, 10, 3) == []
    core.handle(Acked(core.version), 0.0)
    assert told(core, 11, 3) == []
    assert told(core, 12, 3, 4) == [4]
    connected(core, acknowledged=False)
    assert told(core, 13, 5) == []
