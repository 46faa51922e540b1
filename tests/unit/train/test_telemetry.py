"""Steps and readings: an agent is told what they come to, twice a second, and a file of one's own has each."""

from pathlib import Path

import pytest

from tests.unit.train.said import EVENTS, OWN, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events"


STEPS = """
import time
for number in range(400):
    with events.step(number, batch=7):
        events.gauge("lr", number / 10)
        events.instant("inside", {"step": number}) if number in (0, 399) else None
try:
    with events.step(400): raise KeyError
except KeyError: pass
with events.step(401): time.sleep(0.25)  # a step that takes its time
events.gauge("loss", float("nan"))
if os.fork() == 0: os._exit(0)
os.wait()
"""


def test_an_agent_is_told_how_long_steps_take_and_the_newest_reading_and_not_each(file: Path) -> None:
    said = run(EVENTS + "import os" + STEPS, file)
    assert (said.code, said.err) == (0, "")
    assert {each["n"] for each in said.events} == {"trainer.steps", "user.lr", "user.inside", "user.loss"}
    steps = [each["b"] for each in said.events if each["n"] == "trainer.steps"]
    assert sum(each["count"] for each in steps) == 401
    assert 0.2 < sum(each["count"] * each["value"] for each in steps) < 10
    assert len(steps) < 50
    assert [each["b"]["value"] for each in said.events if each["n"] == "user.lr"][-1] == 39.9
    assert said.one("user.loss")["b"] == {"value": "nan"}
    assert len({each["pa"] for each in said.events if each["n"] == "user.inside"}) == 2


def test_what_waits_is_written_before_something_that_takes_long_and_is_its_own_processs_to_write(file: Path) -> None:
    script = """
import os
with events.step(1): pass
events.gauge("lr", 1); events.gauge("lr", 2)
evaluation = events.evaluate()
events.gauge("lr", 3)
child = os.fork()
if child == 0:
    events.gauge("of_child", 4)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    told = [(each["n"], each["b"].get("value")) for each in run(EVENTS + script, file).events]
    assert told[1:] == [("trainer.evaluate", None), ("user.lr", 2), ("user.of_child", 4)]


def test_a_file_of_ones_own_has_each_step(file: Path) -> None:
    said = run(OWN + STEPS, file)
    ends = [each for each in said.events if (each["n"], each.get("k")) == ("trainer.step", "e")]
    assert len(ends) == 402
    assert sum(each["n"] == "user.lr" for each in said.events) == 400
