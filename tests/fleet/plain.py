"""Jobs of scripts/plain.py, which show what every rank of every round did to a folder that all hosts share."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlroverd.model.view import JobView
from tests.fleet.harness import SCRIPTS, Fleet
from tests.system.fleet import gang, until

FOR_EVER = 10**9


@dataclass(frozen=True, slots=True)
class Write:
    """What one rank wrote once a step was over."""

    round: int
    rank: int
    node: str
    pid: int
    step: int


class Plain:
    """One job of plain.py that keeps its steps, and what its ranks wrote."""

    def __init__(self, fleet: Fleet, nnodes: str, *words: str, steps: int = FOR_EVER) -> None:
        """Submit it with a rank a node, and wait until it trains. `words` go to `dlroverctl submit`."""
        self.fleet = fleet
        name = f"plain{sum(1 for _ in fleet.shared.iterdir())}"
        self._writes = fleet.shared / f"{name}.writes"
        self._writes.touch()
        environ = {"WRITES": self._writes, "STEP_FILE": fleet.shared / f"{name}.step"}
        self.id = fleet.submit(
            *("--nnodes", nnodes, "--nproc-per-node", "1"),
            *(word for key, value in environ.items() for word in ("--env", f"{key}={value}")),
            *words,
            *(str(SCRIPTS / "plain.py"), str(steps)),
        )
        fleet.until_stepping(self.id)

    def view(self) -> JobView:
        """Give the job as the daemon sees it."""
        return self.fleet.client.job(self.id)

    def nodes(self) -> list[str]:
        """Name the nodes of the job's world, in order of rank."""
        return [rank.node for rank in gang(self.view()).ranks]

    def written(self) -> list[Write]:
        """Give what was written so far, in the order of the file."""
        lines = (line.split() for line in self._writes.read_text().splitlines())
        return [Write(int(round_), int(rank), node, int(pid), int(step)) for round_, rank, node, pid, step in lines]

    def until_round(self, round_: int, nodes: Sequence[str]) -> None:
        """Wait until that round trains, see that it does on those nodes, and that it went on from the last one."""
        self.fleet.until_stepping(self.id, round_)
        assert sorted(self.nodes()) == sorted(nodes)
        writes = self.written()
        first = next(each for each in writes if each.round == round_)
        # The step may have been kept by rank 0 and not been written by anyone any more.
        assert 1 <= first.step - max(each.step for each in writes if each.round < round_) <= 2

    def until_further(self, steps: int) -> None:
        """Wait until its ranks have made so many more steps."""
        wanted = self.written()[-1].step + steps
        until(lambda: self.written()[-1].step, lambda step: step >= wanted)

    def late(self) -> list[Write]:
        """Give what ranks of older rounds wrote after the first one of a newer round had."""
        found, newest = [], 0
        for each in self.written():
            newest = max(newest, each.round)
            found += [each] if each.round < newest else []
        return found

    def see_only_the_step_under_way(self, stale: str) -> None:
        """See that a host which was cut off, and is back, finished at most the step that all had a part in by then.

        The last message of that step may have been on its way to it; nothing can take that back.
        """
        late = self.late()
        last = max(each.step for each in self.written() if each.round == 1 and each not in late)
        assert {(each.node, each.round) for each in late} <= {(stale, 1)}
        assert {each.step for each in late} <= {last, last + 1}
        assert len(late) <= 1
