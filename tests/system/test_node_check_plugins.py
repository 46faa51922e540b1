"""Node checks on a real fleet: ours and a stranger's, asked for by a person, with all that may go wrong in one."""

import json
import os
from pathlib import Path

import pytest

from dlroverd.testing.plant import plant
from tests.system.fleet import Fleet, until

ACME = """
import os, time
from dlroverd.plugin_api import *
DLROVERD_API = 1
class Check:
    level, cap_s, meets = CheckLevel.INSTANT, 20.0, False
    def __init__(self, name, find, cap_s=20.0):
        self.name, self.run, self.cap_s = name, find, cap_s
def say(state, sentence, **more):
    return lambda context: CheckVerdict(state=state, sentence=sentence, **more)
def hang(context):
    time.sleep(600)
def fail(context):
    raise OSError("no fan")
def by_file(context):
    bad = os.path.exists(os.path.join(os.environ["ACME"], context.node))
    state = CheckState.BAD if bad else CheckState.OK
    return CheckVerdict(state=state, sentence="the fan is " + ("loud" if bad else "quiet"))
@hookimpl
def dlroverd_register_node_check(register):
    register(Check("fans", by_file))
    register(Check("hangs", hang, 1.0))
    register(Check("raises", fail))
    register(Check("nonsense", lambda context: 7))
    register(Check("nan", say(CheckState.OK, "hm", figures=(Figure(name="heat_celsius", value=float("nan")),))))
    register(Check("dies", lambda context: os._exit(3)))
"""
FOUND = {
    "fans": ("ok", "the fan is quiet"),
    "hangs": ("unknown", "did not answer within 1 s"),
    "raises": ("unknown", "raised OSError: no fan"),
    "nonsense": ("unknown", "returned int, where a CheckVerdict is wanted"),
    "nan": ("unknown", "is nan, which is no number"),
    "dies": ("unknown", "exited with status 3"),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plugin processes import from, where a file of a node's name makes that node's fan loud."""
    folder = tmp_path / "site"
    folder.mkdir()
    plant(folder, "acme", ACME)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("ACME", str(folder))
    return folder


def test_a_persons_check_finds_what_is_bad_takes_it_out_of_use_and_puts_it_back(site: Path, tmp_path: Path) -> None:
    root = tmp_path / "fleet"
    root.mkdir()
    limits: dict[str, object] = {"automation": {"ready_share": 0.5}}
    fleet = Fleet(root, agent={"checks": ["instant_checks", "acme"]}, daemon=limits)
    try:
        fleet.start(2, 1)
        # Each node has looked at itself as it joined, and is used: what is unknown condemns nobody.
        until(lambda: fleet.client.node("n1"), lambda detail: any(run.cause == "joined" for run in detail.checkups))
        checked = json.loads(fleet.ctl("node", "check", "n[1-2]", "-o", "json", code=4).stdout)["nodes"]
        assert [each["node"] for each in checked] == ["n1", "n2"]
        found = {each["check"]: each for each in checked[0]["checks"]}
        for name, (state, sentence) in FOUND.items():
            assert found[name]["state"] == state, found[name]
            assert sentence in found[name]["sentence"]
        ours = {"disk", "memory", "clock", "limits", "names", "interface", "mounts", "paths", "drivers", "devices"}
        assert ours <= found.keys()
        assert not [each for each in found.values() if each["state"] == "bad"]

        (site / "n2").touch()
        told = fleet.ctl("node", "check", "n2", code=1).stdout
        assert "fans" in told.splitlines()[1]
        (hold,) = fleet.client.node("n2").node.holds
        assert (hold.owner, hold.kind) == ("dlroverd", "quarantine")
        assert hold.reason == "it did not pass the check fans: the fan is loud"
        assert "did not pass the check fans" in fleet.ctl("node", "why", "n2").stdout
        assert "fans" in fleet.ctl("node", "show", "n2").stdout

        (site / "n2").unlink()
        fleet.ctl("node", "check", "n2", code=4)
        assert not fleet.client.node("n2").node.holds
        assert [run.state for run in fleet.client.node("n2").checkups][-2:] == ["bad", "unknown"]
        asked = fleet.ctl("node", "check", "n9", code=1)
        assert "There is no node n9" in asked.stderr
    finally:
        fleet.close()
