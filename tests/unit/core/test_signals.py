"""What follows what kernels and drivers say: by the shipped table, unless a test says otherwise."""

from dataclasses import replace

import pytest

from dlroverd.config.signals import shipped
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.fault import CauseKind, ExitInfo
from dlroverd.model.hold import AUTOMATION, HoldKind
from dlroverd.model.job import JobState, RankState
from dlroverd.model.limits import AutomationLimits, Limits
from dlroverd.model.node import Device
from dlroverd.model.reputation import DEVICE, AutomationStage, Standing
from dlroverd.model.signal import KEPT, Signal, SignalAction, SignalSeverity
from dlroverd.model.world import Observed, RankObservation
from tests.unit.core.desk import Desk, spec

LIMITS = Limits(signals=shipped())
GPU = "GPU-0"


class Ward(Desk):
    """Four nodes with a device each, whose agents go on telling all signals that they ever told."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        super().__init__(limits)
        for name in ("n1", "n2", "n3", "n4"):
            self.node(name, devices=(Device(uuid=f"GPU-{name}", model="m", memory_bytes=1),))
        self.said: dict[str, list[Signal]] = {}

    def say(self, node: str, name: str, device: str = "", **more: object) -> list[ev.SignalSeen]:
        """Have a node's agent tell one more signal; what the log says of it."""
        self.now += 1
        signal = Signal(name=name, at=self.now, detail=f"{name}!", device=device, **more)  # type: ignore[arg-type] # fields of Signal
        told = self.said.setdefault(node, [])
        told.append(signal)
        ranks = tuple(rank for job in self.state.jobs for rank in self.ranks(job, node, RankState.RUNNING))
        observed = Observed(version=1, position=self.state.m.position, signals=tuple(told[-KEPT:]), ranks=ranks)
        events = self.turn(inp.NodeReport(node=node, observed=observed)).events
        return [each for each in events if isinstance(each, ev.SignalSeen)]

    def running(self, nodes: int = 2) -> int:
        """Have a job run on the first nodes."""
        job = self.submit(spec(nodes_min=nodes, nodes_max=nodes))
        self.settle()
        self.run(job)
        return job

    def ranks(
        self, job: int, node: str, state: RankState, exit_: ExitInfo | None = None
    ) -> tuple[RankObservation, ...]:
        """What a node sees of a job's ranks."""
        (gang,) = self.state.gangs_of(job)
        return tuple(
            RankObservation(key=rank.key, state=state, pid=rank.pid, exit=exit_)
            for rank in self.state.ranks_on(gang, node)
        )


def test_a_fatal_xid_ends_the_world_on_the_device_and_the_use_of_the_node() -> None:
    ward = Ward()
    job = ward.running()
    (seen,) = ward.say("n1", "xid.79", "GPU-n1")
    assert seen.done == f"job {job} was stopped, to restart without it; the node is quarantined"
    assert seen.then.startswith("reboot the host")
    assert ward.state.jobs[job].state is JobState.RESTARTING
    assert [(hold.owner, hold.kind) for hold in ward.state.nodes["n1"].holds] == [(AUTOMATION, HoldKind.QUARANTINE)]
    ward.report(job, RankState.GONE, ExitInfo(exited_at=ward.now, signal=15, requested=True))
    (incident,) = ward.state.incidents.values()
    assert incident.cause is not None
    assert (incident.cause.kind, incident.cause.rule) == (CauseKind.DEVICE_ERROR, "signal.xid.79")
    assert incident.cause.rank is not None
    assert incident.cause.sentence.startswith("device GPU-n1 of node n1: the GPU has fallen off the bus (xid.79!)")
    ward.settle()
    (gang,) = ward.state.gangs_of(job)
    assert "n1" not in gang.nodes


def test_the_same_signal_told_again_is_one_event() -> None:
    ward = Ward()
    ward.say("n1", "xid.63", "GPU-n1")
    (again,) = ward.say("n1", "link.down", part="eth0")
    assert again.signal.name == "link.down"


@pytest.mark.parametrize("xid", ["xid.13", "xid.31", "xid.43", "xid.45", "xid.68"])
def test_what_the_application_did_speaks_against_no_hardware(xid: str) -> None:
    ward = Ward()
    job = ward.running()
    for _ in range(10):
        ward.now += 600
        (seen,) = ward.say("n1", xid, "GPU-n1")
        assert (seen.severity, seen.action) == (SignalSeverity.INFO, SignalAction.NOTE)
    assert not ward.state.reputations
    assert ward.state.jobs[job].state is JobState.RUNNING


def test_what_comes_again_escalates_and_counts_only_within_its_time() -> None:
    ward = Ward()
    for _ in range(2):
        (seen,) = ward.say("n1", "link.down", part="ib0")
        assert seen.action is SignalAction.NOTE
        ward.now += 3600.5
    ward.say("n1", "link.down", part="ib1")  # another one
    ward.say("n1", "link.down", part="ib0")
    (third,) = ward.say("n1", "link.down", part="ib0", count=2)
    assert third.action is SignalAction.DOUBT
    assert third.then == "it flaps: replace the cable or the transceiver"
    assert third.done == "it counts against the node: others are taken first"


def test_counts_since_the_boot_begin_anew_with_each_boot_and_each_repair() -> None:
    ward = Ward()
    (seen,) = ward.say("n1", "gpu.ecc_corrected", "GPU-n1", count=999)
    assert seen.action is SignalAction.NOTE
    ward.turn(inp.ClearNodes(request_id="c", nodes=("n1",), actor="ann", reason="new GPU"))
    (seen,) = ward.say("n1", "gpu.ecc_corrected", "GPU-n1", count=999)
    assert seen.action is SignalAction.NOTE
    record = ward.state.nodes["n1"]
    ward.state.put(ward.state.nodes, "n1", replace(record, boot_id="next"))
    (seen,) = ward.say("n1", "gpu.ecc_corrected", "GPU-n1", count=999)
    assert seen.action is SignalAction.NOTE
    (seen,) = ward.say("n1", "gpu.ecc_corrected", "GPU-n1", count=1)
    assert seen.action is SignalAction.DOUBT


def test_brakes_hold_back_what_a_signal_asks_for_and_the_words_say_so() -> None:
    ward = Ward(replace(LIMITS, automation=AutomationLimits(nodes=1, ready_share=0.0)))
    ward.say("n1", "xid.64", "GPU-n1")
    (held_back,) = ward.say("n2", "xid.64", "GPU-n2")
    assert held_back.done.startswith("the node is not quarantined: automation has taken 1 nodes out of use")
    assert not ward.state.nodes["n2"].holds
    ward.now += 3601
    ward.turn()
    assert ward.state.nodes["n2"].holds, "tried again when the window has passed"


@pytest.mark.parametrize(
    ("stage", "said"),
    [(AutomationStage.ADVISE, "a quarantine is advised"), (AutomationStage.OBSERVE, "a quarantine is noted")],
)
def test_automation_goes_no_further_than_it_may(stage: AutomationStage, said: str) -> None:
    ward = Ward(replace(LIMITS, automation=AutomationLimits(quarantine=stage)))
    (seen,) = ward.say("n1", "mce.uncorrected")
    assert seen.done == f"{said}, as `automation.quarantine` says"
    assert not ward.state.nodes["n1"].holds


def test_doubt_grows_once_a_day_however_often_it_is_said() -> None:
    ward = Ward()
    for _ in range(12):
        ward.say("n1", "fs.error", part="sda1")
        ward.now += 3600
    assert len(ward.state.reputations["host", "n1"].evidence) == 1
    ward.now += 86400
    ward.say("n1", "fs.error", part="sda1")
    assert len(ward.state.reputations["host", "n1"].evidence) == 2


def test_a_repaired_node_begins_anew_and_what_people_hold_stays() -> None:
    ward = Ward()
    ward.say("n1", "xid.79", "GPU-n1")
    ward.turn(
        inp.HoldNodes(request_id="h", nodes=("n1",), kind=HoldKind.CORDON, owner="bob", actor="bob", reason="mine")
    )
    cleared = inp.ClearNodes(request_id="c", nodes=("n1",), actor="ann", reason="GPU replaced")
    events = ward.turn(cleared).events
    assert [type(each).__name__ for each in events] == ["NodeCleared", "StandingChanged", "NodeReleased"]
    assert [hold.owner for hold in ward.state.nodes["n1"].holds] == ["bob"]
    known = ward.state.reputations[DEVICE, "GPU-n1"]
    assert (known.standing, known.score) == (Standing.PROVEN, 0.0)
    assert known.reason == "it was repaired, says ann: GPU replaced"
    assert ward.state.nodes["n1"].doubt == 0.0
    # The agent goes on telling of it, and that means nothing any more.
    (seen,) = ward.say("n1", "xid.63", "GPU-n1")
    assert seen.signal.name == "xid.63"
    (again,) = ward.say("n1", "xid.79", "GPU-n1")
    assert again.done == "the node is quarantined"


def test_nobody_is_blamed_while_somebody_works_there() -> None:
    ward = Ward()
    ward.turn(
        inp.HoldNodes(request_id="h", nodes=("n1",), kind=HoldKind.DRAIN, owner="bob", actor="bob", reason="mine")
    )
    (seen,) = ward.say("n1", "xid.79", "GPU-n1")
    assert seen.done == "noted; somebody works on the node"
    assert not ward.state.reputations


def test_a_node_speaks_for_no_device_of_another() -> None:
    ward = Ward()
    ward.say("n1", "xid.79", "GPU-n2")
    assert (DEVICE, "GPU-n2") not in ward.state.reputations
    assert not ward.state.nodes["n2"].holds


def test_a_signal_without_a_row_is_noted_and_says_so() -> None:
    ward = Ward()
    (seen,) = ward.say("n1", "xid.4711", "GPU-n1")
    assert (seen.action, seen.done) == (SignalAction.NOTE, "nothing: the table of signals has no row for it")
    assert not seen.table


def test_what_was_said_long_ago_ends_no_world() -> None:
    ward = Ward()
    job = ward.running()
    old = Signal(name="xid.79", at=ward.now - 7200, detail="long ago", device="GPU-n1")
    ward.turn(inp.NodeReport(node="n1", observed=Observed(version=1, position=0, signals=(old,))))
    assert ward.state.jobs[job].state is not JobState.RESTARTING


KILLED = ExitInfo(exited_at=1000.0, signal=9)
LOST_PEER = ExitInfo(exited_at=1000.0, code=1, output_tail="RuntimeError: Connection closed by peer [10.0.0.1]:1")


@pytest.mark.parametrize(
    ("signal", "exit_", "kind", "rule"),
    [
        (Signal(name="oom", at=999.0, detail="Killed process 1", pid=1), KILLED, "out_of_memory", "signal.oom"),
        (Signal(name="oom", at=999.0, detail="Killed process 77", pid=77), KILLED, "out_of_memory", "signal.oom"),
        (Signal(name="oom", at=900.0, detail="long before", pid=77), KILLED, "signal", ""),
        (Signal(name="link.down", at=998.0, detail="x", part="eth0"), LOST_PEER, "network", "signal.link.down"),
        (Signal(name="xid.94", at=999.0, detail="x", device="GPU-n1"), KILLED, "device_error", "signal.xid.94"),
        (Signal(name="xid.94", at=999.0, detail="x", device="GPU-n2"), KILLED, "signal", ""),
        (Signal(name="xid.31", at=999.0, detail="x", device="GPU-n1"), KILLED, "signal", ""),
    ],
)
def test_what_was_said_near_a_death_is_its_cause_if_it_is_about_what_died(
    signal: Signal, exit_: ExitInfo, kind: str, rule: str
) -> None:
    ward = Ward()
    job = ward.running()
    ended = ward.ranks(job, "n1", RankState.GONE, exit_)
    observed = Observed(version=9, position=ward.state.m.position, ranks=ended, signals=(signal,))
    ward.turn(inp.NodeReport(node="n1", observed=observed))
    stopped = ward.ranks(job, "n2", RankState.GONE, ExitInfo(exited_at=1000.5, signal=15, requested=True))
    ward.turn(inp.NodeReport(node="n2", observed=Observed(version=9, position=ward.state.m.position, ranks=stopped)))
    (incident,) = ward.state.incidents.values()
    assert incident.cause is not None
    assert incident.cause.kind == kind
    if rule:
        assert incident.cause.rule == rule
        assert incident.cause.node == "n1"
