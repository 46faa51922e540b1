"""Every event that the log can hold has a schema, and none changes under the same version."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary import SCHEMAS, schema_of, shapes
from dlroverd.model.vocabulary.dlrover import ABSENT
from dlroverd.model.vocabulary.naming import name_of
from dlroverd.model.vocabulary.schema import Schema, Source
from dlroverd.runtime import codec
from tests.unit.model import event_page, event_shapes

REPOSITORY = Path(__file__).parents[3]

# Below dlrover/python, at commit 7c3e96481: training_event/predefined, training_event/error_handler.py,
# unified/**/events.py, and the actions of common/event/reporter.py.
DLROVER = {
    "master": "master_start master_exit node_join rendezvous network_check worker_event worker_relaunch worker_create "
    "worker_no_heartbeat fault_detect job_train process_restart",
    "agent": "agent_start agent_exit rendezvous network_check process_succeeded process_restart process_fail "
    "process_restart_membership job_abortion job_restart",
    "declared": "fault_tolerance pre_check",
    "trainer": "start init load_ckpt load_dataset init_end train epoch step substep evaluate predict predict_step save "
    "persist_ckpt log finish",
    "common": "warning",
    "error": "exception exit_sig",
    "controller": "inited stage_changed wait_actors_ready stop_requested failover_success failover_stop node_check "
    "starting stopping restarting saving loading_state creating_placement_group creating_actors setup_actors",
    "elastic": "inited checking_workers setup_workloads starting_elastic_job restarting init_process_group comm_check",
    "worker": "import_user_entrypoint instantiate_user_class running",
    "action": "master_start master_end job_start job_success job_fail worker_create worker_pending worker_no_heartbeat "
    "status_update early_stop stop restart relaunch_worker not_relaunch_worker global_step join_rendezvous "
    "rendezvous_complete rendezvous_timeout training_start restart_training save_shard_start save_shard_complete "
    "save_shard_error mem_ckpt_start mem_ckpt_complete resume_mem_ckpt_start resume_mem_ckpt_complete hang_warning "
    "device_warning pre_check_disable pre_check_timeout pre_check_error pre_check_pass pre_check_fail",
}
# `"trainer.save"`; a name that ends a sentence or a path goes on.
_NAMED = re.compile(r'"((?:trainer|agent)\.[a-z_]+)"')


def test_every_event_of_the_core_has_a_schema_at_the_version_that_is_written() -> None:
    names = {name_of(cls) for cls in get_args(ev.Event)}
    assert {name for name, schema in SCHEMAS.items() if schema.source is Source.DAEMON} == names
    for cls in get_args(ev.Event):
        schema = SCHEMAS[name_of(cls)]
        assert schema.version == codec.EVENTS.versions[schema.name]
        assert [(field.name, field.type) for field in schema.fields] == list(shapes.fields(cls).items())


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_a_schema_says_what_it_means(schema: Schema) -> None:
    assert schema.says.endswith(".")
    assert all(field.says for field in schema.fields)
    envelopes = [schema.envelope, *(case.envelope for case in schema.cases)]
    if schema.source is Source.DAEMON:
        # Who begins or ends says what; who does neither has a span around it, or none.
        assert all(bool(each.span) == (each.kind is not EventKind.INSTANT) for each in envelopes)
    assert {each.kind for each in envelopes} <= set(schema.kinds)


def test_a_span_has_both_ends() -> None:
    ends: dict[str, set[EventKind]] = {}
    for schema in SCHEMAS.values():
        for each in (schema.envelope, *(case.envelope for case in schema.cases)):
            if each.span:
                # The same key may be in another field: `{hold[kind]}` and `{kind}`, `{incident[id]}` and `{incident}`.
                where = re.sub(r"\{[^}]*\}", "*", each.span)
                ends.setdefault(where, set()).add(each.kind)
    assert ends
    assert all(kinds == {EventKind.BEGIN, EventKind.END} for kinds in ends.values()), ends


def test_names_of_ranks_and_users() -> None:
    assert schema_of("user.anything.at_all") is SCHEMAS["user.*"]
    assert schema_of("trainer.nothing") is None
    telemetry = {name for name, schema in SCHEMAS.items() if schema.telemetry}
    often = {"step", "steps", "substep", "predict_step", "work"}
    assert telemetry == {f"trainer.{name}" for name in often}
    assert SCHEMAS["trainer.exception"].envelope.severity is Severity.ERROR


def emitted(text: str) -> set[str]:
    return set(_NAMED.findall(text))


def test_names_that_the_agent_and_the_library_use_are_in_the_vocabulary() -> None:
    assert emitted('say("agent.started"), Span("trainer.save", body), "trainer/x", f"trainer.{name}"') == {
        "agent.started",
        "trainer.save",
    }
    sources = chain(
        *(REPOSITORY.glob(f"agent/{where}/**/*.py") for where in ("dlroverd_agent", "train/dlroverd_train"))
    )
    found = set[str]().union(*(emitted(source.read_text()) for source in sources))
    assert found <= set(SCHEMAS)


def test_dlrovers_vocabulary_is_mapped_or_said_to_be_absent() -> None:
    theirs = {f"{sender}.{name}" for sender, names in DLROVER.items() for name in names.split()}
    mapped = {name for schema in SCHEMAS.values() for name in schema.dlrover}
    assert mapped | set(ABSENT) == theirs
    assert not mapped & set(ABSENT)


def test_the_page_is_what_the_vocabulary_says() -> None:
    assert event_page.PAGE.read_text() == event_page.page(), "run `python -m tests.unit.model.event_page`"


def test_no_shape_changes_without_a_new_version() -> None:
    kept, now = event_shapes.read(), event_shapes.now()
    assert list(event_shapes.changed(kept, now)) == []
    missing = {part: sorted(now[part].keys() - kept[part].keys()) for part in now}
    assert {part: kept[part] | now[part] for part in now} == kept, (
        f"run `python -m tests.unit.model.event_shapes`; new: {missing}"
    )


@pytest.mark.parametrize("how", ["added", "removed", "retyped", "gone", "inner"])
def test_a_change_under_the_same_version_is_refused(how: str) -> None:
    planted = json.loads(json.dumps(event_shapes.now()))
    fields = planted["events"]["job_scaled.v1"]
    match how:
        case "added":
            fields["colour"] = "text"
        case "removed":
            del fields["actor"]
        case "retyped":
            fields["nodes_min"] = "number"
        case "gone":
            del planted["events"]["job_scaled.v1"]
        case "inner":
            planted["types"]["Incident"]["id"] = "text"
    (sentence,) = event_shapes.changed(event_shapes.now(), planted)
    assert re.match(r"job_scaled (has other fields than version 1|is gone)|Incident.id is not integer", sentence)


def test_what_may_change_under_the_same_version() -> None:
    """More in the shapes within a field; and anything under a new version."""
    planted = json.loads(json.dumps(event_shapes.now()))
    planted["types"]["Incident"]["colour"] = "text"
    planted["events"]["job_scaled.v2"] = {"job": "text"}
    del planted["events"]["job_scaled.v1"]
    assert list(event_shapes.changed(event_shapes.now(), planted)) == []
