"""A script that asks whether to save: by its interval, and before each stop that is planned. Ranks on two nodes."""

import json
import re
from collections.abc import Callable
from typing import Any

from dlroverd.model.view import JobView
from tests.system.fleet import SCRIPTS, Fleet, gang, until
from tests.system.savings import output

# A beat is a fifth of the first: what is asked of ranks is then asked some 50 steps ahead of them.
QUICK = {"unreachable_after": "1s", "lost_by_peers": "3s", "lost_after": "4s"}


class Asking:
    """A job of tests/system/scripts/asking.py."""

    def __init__(self, fleet: Fleet, name: str, **keys: Any) -> None:
        self.fleet, self.folder = fleet, fleet.root / name
        self.folder.mkdir()
        file = fleet.root / f"{name}.yaml"
        script = {"script": str(SCRIPTS / "asking.py"), "args": [str(self.folder)], "name": name}
        file.write_text(json.dumps({**script, "max_restarts": 0, **keys}))
        self.job = fleet.submit(str(file))

    def rounds(self, rank: int) -> list[list[tuple[int, str]]]:
        """Give the steps that a rank saved, and why, by round."""
        return [
            [(int(step), why) for step, _, why in (line.partition(" ") for line in file.read_text().splitlines())]
            for file in sorted(self.folder.glob(f"rank{rank}-*"))
        ]

    def saved(self, rank: int = 0) -> list[tuple[int, str]]:
        """Give the steps that a rank saved in all rounds, and why."""
        return [each for of in self.rounds(rank) for each in of]

    def until_saved(self, why: str) -> int:
        """Wait until rank 0 has saved for a reason that begins so; the step."""
        found = until(lambda: [step for step, said in self.saved() if said.startswith(why)], bool)
        return found[-1]

    def until_state(self, state: str) -> JobView:
        return self.fleet.until_job(self.job, lambda view: view.state == state)

    def bodies(self, name: str) -> list[Any]:
        events = self.fleet.client.events(job=self.job, names=(name,))
        return [json.loads(event.body) for event in events]


def test_ranks_save_at_their_interval_and_before_what_is_planned(fleet: Callable[..., Fleet]) -> None:
    two = fleet(nodes=2, slots=2, limits=QUICK)
    limited = Asking(two, "limited", checkpoint_interval="never", time_limit="8s")
    job = Asking(two, "job", nnodes=2, checkpoint_interval="1s")

    job.until_saved("its interval")
    until(lambda: job.bodies("checkpoint_seen"), lambda seen: len(seen) >= 2)
    cadence = job.bodies("cadence_set")[0]["cadence"]
    assert cadence["interval_s"] == 1.0
    assert 20 <= cadence["every"] <= 60
    said = two.ctl("job", "status", str(job.job)).stdout
    assert re.search(r"^Trainer gang 0 saves every 1\.0s \(\d+ steps\), as its job says\.$", said, re.MULTILINE)

    two.ctl("job", "suspend", str(job.job))
    view = job.until_state("suspended")
    asked = job.bodies("save_asked")[-1]["step"]
    assert asked in [step for step, why in job.saved() if why.startswith("suspended by")]
    assert job.bodies("checkpoint_seen")[-1]["step"] >= asked
    assert view.incidents == ()

    two.ctl("job", "resume", str(job.job))
    two.until_job(job.job, lambda view: gang(view).round == 2 and gang(view).cadence is not None)
    assert f"begins at {job.saved()[-1][0]}" in output(two, job.job)
    two.ctl("node", "drain", "n1", "--at-checkpoint", "--reason", "fans")
    job.until_state("queued")
    assert job.bodies("save_asked")[-1]["step"] in [step for step, why in job.saved() if "empties node n1" in why]

    rounds = list(zip(job.rounds(0), job.rounds(1), strict=True))
    assert len(rounds) == 2
    assert sum(min(map(len, each)) for each in rounds) >= 4
    for one, other in rounds:
        both = min(len(one), len(other))
        assert one[:both] == other[:both], "all ranks save at the same steps, for the same reasons"
        assert max(len(one), len(other)) <= both + 1, "a stop may come while one of them has saved"

    view = limited.until_state("failed")
    assert "reached its time limit of 8 s" in view.reason
    (asked,) = [body["step"] for body in limited.bodies("save_asked")]
    assert limited.saved() == [(asked, "reaches its time limit of 8 s")]
    assert [body["step"] for body in limited.bodies("checkpoint_seen")] == [asked]
    assert limited.bodies("incident_opened") == []
