"""Diagnosis rules of a stranger's in a real daemon: what they conclude is seen and acted on, what they break is not."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlroverd.model.view import JobView
from dlroverd.testing.plant import plant
from tests.system.fleet import SCRIPTS, Fleet, gang, until

RULE = """
import time
from dlroverd.plugin_api import Action, Conclusion, Finding, Remedy, hookimpl
DLROVERD_API = 1
class Rule:
    def observe(self, view):
        {observe}
    def conclude(self, findings):
        return tuple(
            Conclusion(kind="tired", sentence="rank 1 is tired", rank=each.rank, node=each.node, confidence=0.9,
                       evidence=("it yawns",))
            for each in findings
        )
    def prescribe(self, conclusions):
        return tuple(Action(remedy=Remedy("{remedy}"), kind="tired", rank=each.rank, node=each.node)
                     for each in conclusions)
@hookimpl
def dlroverd_register_diagnosis(register): register(Rule())
"""
TIRED = 'return tuple(Finding(kind="yawn", sentence="", rank=r.rank, node=r.node) for r in view.ranks if r.rank == 1{})'
FIRST_ROUND = TIRED.format(" and view.round == 1 and view.step >= 0")
RULES = {
    "watcher": RULE.format(observe=TIRED.format(""), remedy="replace"),
    "restarter": RULE.format(observe=FIRST_ROUND, remedy="restart"),
    "raises": RULE.format(observe="raise ValueError('no idea')", remedy="restart"),
    "sleeps": RULE.format(observe="time.sleep(3600)", remedy="restart"),
    "invents": RULE.format(observe='return (Finding(kind="yawn", sentence="", rank=17, node="n9"),)', remedy="restart"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """A fleet of one node whose daemon has two rules that work, and three that do not."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    for name, source in RULES.items():
        plant(site, name, source)
    diagnosis = {"interval": "500ms", "answer": "2s", "stages": {"restarter": "act"}}
    made = Fleet(tmp_path, daemon={"plugins": ["fifo", *RULES], "diagnosis": diagnosis})
    made.start(1, 4)
    yield made
    made.close()


def test_what_rules_conclude_is_shown_acted_on_as_far_as_allowed_and_ends(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "2", str(SCRIPTS / "allreduce.py"), "100000")

    def diagnosed_again(view: JobView) -> bool:
        return [each.rule for each in view.diagnoses if each.round == 2] == ["watcher"]

    view = here.until_job(job, diagnosed_again)
    (incident,) = view.incidents
    assert gang(view).round == 2
    assert incident.cause is not None
    assert (incident.cause.rule, incident.cause.sentence) == ("diagnosis.restarter", "rank 1 is tired")
    (watched,) = view.diagnoses
    assert (watched.rank, watched.node, watched.stage, watched.actions) == (1, "n1", "advise", ("replace",))
    assert (watched.acted, watched.held_back) == (False, "")

    shown = here.ctl("job", "status", str(job)).stdout
    assert "trainer gang 0" not in shown.partition("Tired since")[0]
    assert "rank 1 is tired (90 % sure)." in shown
    assert "    it yawns.\n    What you can do: have the job leave the node with `dlroverctl node drain n1" in shown
    assert f"watcher concludes of job {job}: rank 1 is tired" in here.ctl("node", "why", "n1").stdout

    plugins = until(lambda: _plugins(here), lambda said: bool(said["raises"] and said["sleeps"]))
    assert plugins["watcher"] == plugins["restarter"] == ""
    assert "diagnose() raised ValueError: no idea" in plugins["raises"]
    assert "diagnose() did not answer within 2 s" in plugins["sleeps"]
    assert "a tired names rank 17, which the world does not have" in plugins["invents"]

    here.ctl("job", "cancel", str(job))
    here.until_over(job)
    ended = until(lambda: _ended(here), lambda said: len(said) == 3)
    assert {(each["rule"], each["round"]["round"]) for each in ended} == {
        ("restarter", 1),
        ("watcher", 1),
        ("watcher", 2),
    }


def _plugins(here: Fleet) -> dict[str, str]:
    return {each["name"]: each["last_error"] for each in here.json("plugin", "list")["plugins"]}


def _ended(here: Fleet) -> list[dict[str, Any]]:
    events = here.json("event", "list")["events"]
    return [json.loads(each["body"]) for each in events if each["name"] == "diagnosis_ended"]
