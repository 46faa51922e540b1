"""A rank's line is an event or is dropped with a word why, whatever is in it."""

import json

import pytest
from dlroverd_agent.events.lines import MOST_BODY_BYTES, MOST_LINE_BYTES, BadLineError, parse
from dlroverd_agent.events.readings import Reading, Readings, reading_of
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventKind, Severity, SpooledEvent
from dlroverd.model.telemetry import Sample

RANK = RankKey(7, "trainer", 0, 2, 3)
LEAST = {"n": "user.x", "t": 5.5, "m": 1.25}


def line(**values: object) -> bytes:
    return json.dumps({**LEAST, **values}).encode()


def test_what_is_left_out_has_its_default() -> None:
    event = parse(line(), RANK)
    assert event == SpooledEvent(sequence=0, name="user.x", time=5.5, monotonic=1.25, rank=RANK, unit=RANK.unit)


def test_everything_is_read() -> None:
    text = line(n="trainer.save", v=2, k="b", s="warning", p=9, sp="a1", pa="b2", b={"step": 4, "häh": [None, "ü"]})
    event = parse(text, RANK)
    assert (event.name, event.version, event.kind, event.severity) == (
        *("trainer.save", 2),
        *(EventKind.BEGIN, Severity.WARNING),
    )
    assert (event.pid, event.span, event.parent) == (9, "a1", "b2")
    assert json.loads(event.body) == {"step": 4, "häh": [None, "ü"]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\xff\xfe{}", "a line that is no JSON"),
        (b'{"n":"user.x"', "a line that is no JSON"),
        (b"[1]", "a line that is no JSON object"),
        (b'{"n":"user.x","t":NaN,"m":1}', "a line that is no JSON"),
        (b'{"n":"user.x","t":1,"m":1,"b":{"a":-Infinity}}', "a line that is no JSON"),
        (b'{"n":"user.x","t":1,"m":1,"b":{"a":1e999}}', "a body with a value that JSON cannot hold"),
        (b'{"n":"user.x","t":1,"m":1,"b":{"a":"\\ud800"}}', "a body with a value that JSON cannot hold"),
        (b'{"n":"user.x","t":1,"m":1,"b":{"a":' + b"9" * 5000 + b"}}", "a line that is no JSON"),
        (b'{"n":"user.x","t":1,"m":1,"b":' + b'{"a":' * 40 + b"1" + b"}" * 41, "a body that is nested too deep"),
        (b"[" * 100_000, "a body that is nested too deep"),
        (b" " * MOST_LINE_BYTES + b"{}", "a line that is too long"),
        (line(n="job_moved"), "a name that ranks may not use"),
        (line(n="agent.exit"), "a name that ranks may not use"),
        (line(n="user."), "a name that ranks may not use"),
        (line(n="user.a\n"), "a name that ranks may not use"),
        (line(n="user." + "a" * 200), "a name that ranks may not use"),
        (line(n=5), "a name that ranks may not use"),
        (b'{"t":1,"m":1}', "a name that ranks may not use"),
        (line(t="now"), "a value of the wrong kind"),
        (line(t=None), "a value of the wrong kind"),
        (line(t=-1), "a value of the wrong kind"),
        (line(m=True), "a value of the wrong kind"),
        (line(t=1e40), "a value of the wrong kind"),
        (line(k="x"), "a value of the wrong kind"),
        (line(k=[]), "a value of the wrong kind"),
        (line(s="loud"), "a value of the wrong kind"),
        (line(v=1.5), "a value of the wrong kind"),
        (line(p=1 << 70), "a value of the wrong kind"),
        (line(sp="a" * 65), "a value of the wrong kind"),
        (line(pa="a b"), "a value of the wrong kind"),
        (line(b=[]), "a body that is no JSON object"),
        (line(b=None), "a body that is no JSON object"),
    ],
)
def test_what_is_no_event_is_refused_with_a_word_why(text: bytes, why: str) -> None:
    with pytest.raises(BadLineError, match=f"^{why}$"):
        parse(text, RANK)


def test_no_rank_can_speak_for_another() -> None:
    forged = line(r=[1, "ps", 0, 9, 0], u="j1-ps-0-r9-rank0", node="n9", f="other", o=10**9, sequence=77)
    event = parse(forged, RANK)
    assert (event.rank, event.unit, event.sequence) == (RANK, RANK.unit, 0)


def test_a_body_that_is_too_large_becomes_a_mark() -> None:
    assert parse(line(b={"a": "x" * (MOST_BODY_BYTES - 8)}), RANK).body.startswith('{"a":"x')
    cut = json.loads(parse(line(b={"a": "x" * (MOST_BODY_BYTES - 7)}), RANK).body)
    assert cut == {"cut": "of 65537 bytes, 65536 are the most"}


@given(
    st.one_of(
        st.binary(max_size=200),
        st.dictionaries(
            st.sampled_from(["n", "v", "k", "s", "t", "m", "p", "sp", "pa", "b"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                max_leaves=5,
            ),
        ).map(lambda values: json.dumps({**LEAST, **values}).encode()),
    )
)
def test_a_line_is_an_event_or_bad(text: bytes) -> None:
    try:
        event = parse(text, RANK)
    except BadLineError:
        return
    assert isinstance(json.loads(event.body), dict)
    assert event.rank == RANK


# ---- readings


def read(text: bytes) -> Reading:
    told = reading_of(parse(text, RANK))
    assert told
    return told


def steps(*ends: tuple[str, str, float]) -> list[Reading]:
    return [read(line(n="trainer.step", k=kind, sp=span, m=at)) for kind, span, at in ends]


def gauge(name: str, **body: object) -> Reading:
    return read(line(n=name, k="g", b=body))


def taken(readings: Readings) -> dict[str, float]:
    return {sample.metric: sample.value for sample in readings.take()}


def test_steps_and_gauges_are_readings_and_the_rest_is_not() -> None:
    assert gauge("user.loss", value=1).value == 1.0
    assert all(read(line(n=f"trainer.{name}")) for name in ("step", "substep", "predict_step"))
    assert not reading_of(parse(line(n="trainer.epoch", k="b"), RANK))


def test_steps_are_timed_by_their_spans() -> None:
    readings = Readings()
    for event in steps(("b", "1", 10.0), ("e", "1", 10.5), ("b", "2", 11.0), ("e", "2", 12.0)):
        readings.note(RANK, event)
    assert taken(readings) == {"rank_step_seconds": 0.75}
    assert taken(readings) == {}
    for event in steps(("b", "3", 12.0), ("e", "3", 14.0), ("e", "never-begun", 16.0)):
        readings.note(RANK, event)
    assert taken(readings) == {"rank_step_seconds": 2.0}


def test_steps_told_as_instants_are_timed_from_one_to_the_next() -> None:
    readings = Readings()
    for event in steps(("i", "", 10.0), ("i", "", 12.0), ("i", "", 14.0)):
        readings.note(RANK, event)
    assert taken(readings)["rank_step_seconds"] == 2.0


def test_steps_that_are_told_together_count_as_many() -> None:
    readings = Readings()
    for body in ({"value": 0.1, "count": 3}, {"value": 0.5}, {"value": -1.0, "count": 9}, {"count": 7}):
        readings.note(RANK, gauge("trainer.steps", **body))
    assert taken(readings) == {"rank_step_seconds": pytest.approx(0.2)}
    for count in (0, -3, "many", True, 10**30):
        readings.note(RANK, gauge("trainer.steps", value=0.5, count=count))
    assert taken(readings) == {"rank_step_seconds": 0.5}


def test_what_a_rank_says_of_its_work_is_its_mean() -> None:
    readings = Readings()
    for value in (0.1, 0.3, "fast"):
        readings.note(RANK, gauge("trainer.work", value=value))
    assert taken(readings) == {"rank_work_seconds": pytest.approx(0.2)}
    assert taken(readings) == {}


def test_gauges_are_the_newest_of_a_bounded_number() -> None:
    readings = Readings()
    for number in range(100):
        readings.note(RANK, gauge(f"user.g{number}", value=number))
    readings.note(RANK, gauge("user.g0", value=-5))
    for body in ({"value": "high"}, {"value": True}, {"value": 10**400}, {}):
        readings.note(RANK, gauge("user.g1", **body))
    values = taken(readings)
    assert len(values) == 32
    assert (values["user.g0"], values["user.g1"]) == (-5.0, 1.0)


def test_the_last_readings_of_a_rank_that_is_gone_are_taken_once() -> None:
    readings = Readings()
    readings.note(RANK, gauge("user.loss", value=0.5))
    readings.end(RANK)
    assert readings.take() == [Sample(metric="rank_loss", value=0.5, rank=RANK)]
    assert readings.take() == []
