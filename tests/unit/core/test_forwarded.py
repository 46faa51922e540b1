"""What ranks and agents say reaches the log once, and their checkpoints are accounted for."""

from dataclasses import replace

import pytest

from dlroverd.core.folds.ledgers import ledger_of
from dlroverd.core.handle import Decision
from dlroverd.core.invariants import check
from dlroverd.core.records import SpoolRecord
from dlroverd.core.turn import Done, Refused
from dlroverd.model import input as inp
from dlroverd.model.event import EventForwarded
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import RankState
from dlroverd.model.ledger import Category
from dlroverd.model.spooled import EventBatch, EventKind, SpooledEvent
from dlroverd.model.world import Progress
from dlroverd.runtime import codec
from tests.unit.core.desk import Desk, spec

RANK = RankKey(1, "trainer", 0, 1, 0)


def event(sequence: int, **more: object) -> SpooledEvent:
    fields: dict[str, object] = {"name": "user.x", "time": 1000.0, "monotonic": 1.0, "rank": RANK, **more}
    return SpooledEvent(sequence=sequence, **fields)  # type: ignore[arg-type] # fields of SpooledEvent


def batch(*events: SpooledEvent, node: str = "n1", spool: str = "s1") -> inp.EventsForwarded:
    return inp.EventsForwarded(batch=EventBatch(node=node, spool=spool, boot_id="b", events=events))


def forwarded(decision: Decision) -> list[int]:
    return [each.event.sequence for each in decision.events if isinstance(each, EventForwarded)]


@pytest.fixture
def desk() -> Desk:
    one = Desk()
    one.node("n1", slots=2)
    one.node("n2", slots=2)
    return one


def test_what_is_known_is_taken_once_and_each_node_has_a_spool_of_its_own(desk: Desk) -> None:
    assert forwarded(desk.turn(batch(event(1), event(2)))) == [1, 2]
    assert forwarded(desk.turn(batch(event(1), event(2)))) == []
    assert forwarded(desk.turn(batch(event(2), event(3)), batch(event(3), event(4)))) == [3, 4]
    assert forwarded(desk.turn(batch(event(1), node="n2"))) == [1]
    assert forwarded(desk.turn(batch(event(9), event(11)))) == [9, 11], "a gap is what its node could not read"
    assert forwarded(desk.turn(batch(event(1), spool="s2"))) == [1]
    assert desk.state.spools["n1"] == SpoolRecord(spool="s2", sequence=1)


def test_a_batch_that_is_known_is_no_record_and_one_that_is_new_is_not_written_twice(desk: Desk) -> None:
    decision = desk.turn(batch(event(1)))
    (kept,) = decision.inputs
    assert isinstance(kept, inp.EventsForwarded)
    assert kept.batch.events == ()
    assert codec.INPUTS.decode(codec.INPUTS.encode(decision.inputs)) == decision.inputs
    assert codec.EVENTS.decode(codec.EVENTS.encode(decision.events)) == decision.events
    again = desk.turn(batch(event(1)))
    assert (again.events, again.inputs, again.outcomes) == ((), (), (Done(),))


def test_events_of_jobs_that_nobody_knows_are_taken(desk: Desk) -> None:
    stranger = replace(RANK, job=99)
    save = {"name": "trainer.save", "kind": EventKind.BEGIN, "span": "a"}
    assert forwarded(desk.turn(batch(event(1, rank=stranger, **save), event(2, rank=None)))) == [1, 2]


def test_a_node_that_never_said_hello_and_a_full_disk_are_refused(desk: Desk) -> None:
    (outcome,) = desk.turn(batch(event(1), node="n9")).outcomes
    assert isinstance(outcome, Refused)
    assert outcome.reason == "not_found"
    desk.turn(inp.StorageChanged(low=True))
    (outcome,) = desk.turn(batch(event(1))).outcomes
    assert isinstance(outcome, Refused)
    assert outcome.reason == "storage_low"
    desk.turn(inp.StorageChanged(low=False))
    assert forwarded(desk.turn(batch(event(1)))) == [1]


def test_a_snapshot_keeps_what_is_known_and_an_older_one_knows_nothing(desk: Desk) -> None:
    desk.turn(batch(event(1), event(2)))
    tables = codec.tables_of(desk.state)
    assert codec.decode_state(codec.encode_tables(tables), "log1").spools == desk.state.spools
    older = {name: table for name, table in tables.items() if name != "spools"}
    assert codec.decode_state(codec.encode_tables(older), "log1").spools == {}


# ---- checkpoints


class Training:
    """Job 1 of two ranks, which trains from t=1000 on; each event is said, and told, at a time of its own."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.job = desk.submit(spec(nproc_per_node=2))
        desk.settle()
        desk.run(self.job)
        self.sequence = 0
        self.step(1)

    def step(self, step: int) -> None:
        round_ = self.desk.state.gangs[GangKey(1, "trainer", 0)].round
        seen = Progress(round=GangKey(1, "trainer", 0).at(round_), step=step, at=self.desk.now)
        self.desk.turn(inp.GangStepped(progress=seen))

    def say(self, name: str, kind: EventKind, at: float, **more: object) -> None:
        self.sequence += 1
        self.desk.turn(batch(event(self.sequence, name=name, kind=kind, time=at, **more)))
        assert check(self.desk.state) == []

    def begin(self, at: float, span: str = "a", **more: object) -> None:
        self.say("trainer.save", EventKind.BEGIN, at, span=span, **more)

    def end(self, at: float, span: str = "a", **more: object) -> None:
        self.say("trainer.save", EventKind.END, at, span=span, **more)

    def seconds(self, now: float) -> tuple[float, float]:
        """Give the seconds of checkpoints, and of steps that count."""
        times = ledger_of(self.desk.state, self.desk.state.jobs[self.job]).as_of(now).time_us
        return times.checkpointing / 1e6, times.productive / 1e6


@pytest.fixture
def training(desk: Desk) -> Training:
    return Training(desk)


def test_the_time_of_a_save_is_checkpointing_whenever_it_is_told(training: Training) -> None:
    training.desk.now = 1100.0
    training.begin(1010.0)
    training.end(1014.0)
    assert training.seconds(1100.0) == (4.0, 96.0)
    training.begin(1100.0)
    assert training.seconds(1105.0) == (9.0, 96.0)


def test_the_lowest_rank_that_tells_of_it_counts(training: Training) -> None:
    training.desk.now = 1100.0
    higher = replace(RANK, rank=1)
    training.begin(1010.0, "b", rank=higher)
    training.end(1020.0, "b", rank=higher)
    training.begin(1030.0, "c")
    training.begin(1031.0, "d", rank=higher)
    training.end(1039.0, "d", rank=higher)
    training.end(1032.0, "c")
    training.begin(1050.0, "e", rank=higher)
    assert training.seconds(1100.0) == (12.0, 88.0)


def test_what_is_within_a_save_does_not_end_it_and_what_follows_does(training: Training) -> None:
    training.desk.now = 1100.0
    training.begin(1010.0)
    training.say("trainer.persist_ckpt", EventKind.BEGIN, 1011.0, span="p", parent="a")
    training.say("trainer.persist_ckpt", EventKind.END, 1012.0, span="p", parent="a")
    training.say("trainer.log", EventKind.INSTANT, 1013.0)
    assert training.seconds(1100.0) == (90.0, 10.0)
    training.say("trainer.epoch", EventKind.BEGIN, 1020.0, span="z")
    assert training.seconds(1100.0) == (10.0, 90.0)


def test_a_save_that_never_ends_is_over_with_its_world(training: Training) -> None:
    training.desk.now = 1050.0
    training.begin(1010.0)
    training.desk.report(training.job, RankState.GONE, ExitInfo(exited_at=1020.0, code=1))
    training.desk.settle()
    training.desk.run(training.job)
    training.desk.now = 1060.0
    training.step(2)
    assert training.seconds(1060.0)[0] == 10.0
    ledger = ledger_of(training.desk.state, training.desk.state.jobs[training.job])
    assert ledger.category is Category.PRODUCTIVE
    training.end(1055.0)
    training.begin(1056.0, rank=RANK)
    assert training.seconds(1060.0)[0] == 10.0, "it is of a world that is no more"


def test_a_clock_ahead_of_the_daemons_cannot_put_time_into_the_future(training: Training) -> None:
    training.desk.now = 1010.0
    training.begin(5000.0)
    training.end(6000.0)
    assert training.seconds(1010.0) == (0.0, 10.0)
