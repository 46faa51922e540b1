"""The envelopes of real decisions: who, where, how severe, and spans that begin before they end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobState
from dlroverd.model.spooled import EventKind, Severity, SpooledEvent
from dlroverd.model.view import EventView
from dlroverd.model.vocabulary import SCHEMAS
from dlroverd.runtime import codec
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import jobs_of, views_of
from dlroverd.store.interface import Record, StoreUnreadable
from tests.properties.test_protocol import values
from tests.transcripts import stage

SCENES = sorted((Path(stage.__file__).parent / "scenes").glob("*.txt"))
EXAMPLES = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def played(*commands: str) -> tuple[State, list[Record]]:
    """Play commands, and give the state and the log that come of them."""
    on = stage.Stage()
    for command in commands:
        on.play(command)
    records = [
        Record(each.position, each.now, "[]", codec.EVENTS.encode(each.events)) for each in on.decisions if each.events
    ]
    return on.state, records


def viewed(state: State, records: list[Record]) -> list[EventView]:
    known = Known("log1", state.nodes)
    return [view for record in records for view, _ in views_of(record, known)]


def of(views: list[EventView], name: str, **fields: object) -> EventView:
    """Give the first view of a name whose body has these fields."""
    return next(v for v in views if v.name == name and fields.items() <= json.loads(v.body).items())


def record_of(*events: ev.Event, position: int = 7) -> Record:
    return Record(position, 100.0, "[]", codec.EVENTS.encode(events))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.stem)
def test_what_ends_has_begun(scene: Path) -> None:
    """By whole stories; and what is over leaves nothing open but a planned stop, which its end called off."""
    commands = [line.removeprefix("> ") for line in scene.read_text().splitlines() if line.startswith("> ")]
    state, records = played(*commands)
    open_: set[str] = set()
    for view in viewed(state, records):
        assert (view.log_id, view.version) == ("log1", SCHEMAS[view.name].version)
        if view.kind == "begin":
            open_.add(view.span)
        elif view.kind == "end":
            assert view.span in open_, f"{view.name} ends {view.span}, which is not open"
            open_.remove(view.span)
    over = {str(number) for number, job in state.jobs.items() if job.state.final}
    left = [span for span in open_ if span.startswith("job/") and span.split("/")[1] in over]
    assert all(span.endswith("/planned_stop") for span in left), left


def test_a_job_that_loses_a_rank() -> None:
    state, records = played(
        "node n1 slots 2",
        "node n2 slots 2",
        "submit a nnodes 2 nproc 2 user ann",
        "run 1",
        "exit 1/trainer/0#3 signal 9",
        "gone 1",
    )
    views = viewed(state, records)
    submitted, opened = of(views, "job_submitted"), of(views, "incident_opened")
    assert (submitted.actor, submitted.kind, submitted.span, submitted.severity) == ("ann", "begin", "job/1", "info")
    formed = of(views, "world_formed")
    assert (formed.job, formed.role, formed.gang, formed.round, formed.rank) == (1, "trainer", 0, 1, -1)
    assert (formed.span, formed.parent) == ("job/1/gang/trainer/0/world", "job/1")
    seen = next(v for v in views if v.name == "ranks_seen" and v.rank == 3)
    assert (seen.job, seen.round, seen.node, seen.host, seen.boot_id) == (1, 1, "n2", "n2", "b1")
    assert (opened.kind, opened.span, opened.parent) == ("begin", "job/1/incident/1", "job/1")
    assert opened.severity == "warning"
    named = of(views, "incident_attributed")
    assert (named.severity, named.parent, named.rank, named.kind) == ("error", "job/1/incident/1", 3, "instant")
    assert named.cause.startswith("rank 3 on n2 was killed by SIGKILL")
    stopping = of(views, "gang_stopping")
    assert (stopping.role, stopping.round, stopping.parent) == ("trainer", 1, "job/1/gang/trainer/0/world")
    assert stopping.cause
    assert of(views, "gang_moved", to="stopped").span == formed.span


def test_a_boot_is_named_while_it_is_known() -> None:
    state, records = played(
        "node n1 slots 2", "hold drain n1", "silent n1", "hello n1", "hold cordon n1", "hello n1 boot b2", "release n1"
    )
    views = [view for view in viewed(state, records) if view.node == "n1"]
    boots = [(v.name, json.loads(v.body).get("to", ""), v.boot_id) for v in views]
    assert [each for each in boots if each[0] in ("node_joined", "node_held", "node_released")] == [
        ("node_joined", "", "b1"),
        ("node_held", "", "b1"),
        ("node_joined", "", "b1"),  # it follows this log now
        ("node_held", "", "b1"),
        ("node_joined", "", "b2"),
        *[("node_released", "", "b2")] * 2,
    ]
    assert ("node_moved", "unreachable", "") in boots
    assert {view.host for view in views} == {"n1"}
    # What is not kept any more is not guessed.
    record = state.nodes["n1"]
    state.nodes["n1"] = replace(record, boots=record.boots[-1:])
    assert {view.boot_id for view in viewed(state, records[1:2])} == {""}


def test_what_is_forwarded_has_its_own_name() -> None:
    state, _ = played("node n1 slots 2")
    said = SpooledEvent(
        sequence=3,
        name="trainer.save",
        version=2,
        kind=EventKind.BEGIN,
        severity=Severity.DEBUG,
        time=12.5,
        monotonic=3.25,
        rank=RankKey(4, "trainer", 1, 2, 5),
        pid=77,
        unit="dlroverd-x.service",
        span="a-1",
        parent="a-0",
        body='{"step": 9}',
    )
    whole = ev.EventForwarded(node="n1", spool="s", boot_id="b7", event=said)
    agents = replace(said, name="agent.exit", rank=None, body='{"why": "it was told to stop"}')
    odd = replace(said, name="trainer.of_a_newer_release", body="not JSON")
    record = record_of(whole, replace(whole, event=agents), replace(whole, event=odd))
    (first, jobs), (second, none), (third, _) = views_of(record, Known("log1", state.nodes))
    assert first == EventView(
        log_id="log1",
        position=7,
        index=0,
        time=12.5,
        monotonic=3.25,
        name="trainer.save",
        version=2,
        kind="begin",
        severity="debug",
        job=4,
        role="trainer",
        gang=1,
        round=2,
        rank=5,
        node="n1",
        host="n1",
        boot_id="b7",
        pid=77,
        unit="dlroverd-x.service",
        span="a-1",
        parent="a-0",
        body='{"step": 9}',
    )
    assert jobs == {4} == jobs_of(whole)
    assert (second.name, second.job, second.rank, second.cause) == ("agent.exit", 0, -1, "it was told to stop")
    assert none == frozenset()
    assert (third.name, third.body) == ("trainer.of_a_newer_release", "not JSON")


@pytest.mark.parametrize("cls", get_args(ev.Event), ids=lambda cls: cls.__name__)
@EXAMPLES
@given(data=st.data())
def test_every_event_there_can_be_has_a_view(cls: type, data: st.DataObject) -> None:
    event: Any = data.draw(values(cls))
    ((view, jobs),) = views_of(record_of(event), Known("log1", {}))
    assert jobs == jobs_of(event)
    assert view.job == min(jobs, default=0)
    if cls is not ev.EventForwarded:
        assert json.loads(view.body) == json.loads(codec.EVENTS.body(event))
        assert view.severity in tuple(Severity)
        assert bool(view.span) == (view.kind != "instant")


def test_a_body_of_an_older_release_is_brought_up_to_date() -> None:
    whole = codec.EVENTS.encode([ev.JobMoved(job=1, on="fault", to=JobState.RESTARTING, reason="a")] * 2)
    old = whole.replace(',"outcome":null,"gave_up":false', "", 1)
    assert len(old) < len(whole)
    assert list(codec.EVENTS.bodies(old)) == list(codec.EVENTS.bodies(whole))


def test_upcasters_reach_what_readers_see() -> None:
    upcasters = {("job_forgotten", 1): lambda body: {"job": body["number"]}}
    later = codec.Codec[Any]([ev.JobForgotten], upcasters)
    assert list(later.bodies('[{"body":{"number":7},"name":"job_forgotten","v":1}]')) == [
        ("job_forgotten", {"job": 7}, '{"job":7}')
    ]


@pytest.mark.parametrize(
    "text",
    [
        '[{"body":{"job":1},"name":"job_forgotten","v":9}]',
        '[{"body":{},"name":"job_cloned","v":1}]',
        '[{"body":{"job":1},"name":"job_forg',
        '[{"body":{"job":1},"name":"job_forgotten","v":1},nothing]',
    ],
)
def test_what_cannot_be_read_is_never_passed_over(text: str) -> None:
    with pytest.raises(StoreUnreadable, match=r"newer dlroverd|damaged"):
        list(codec.EVENTS.bodies(text))
    assert list(codec.EVENTS.bodies("[]")) == []
