"""Gives recordings as the daemon would know them: the agent's own reading of what real ranks left."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlroverd_agent.evidence import with_evidence
from dlroverd_agent.launchers.files import RankFiles

from dlroverd.core.records import RankRecord
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState

_FOLDERS = [Path(__file__).parent / name for name in ("recorded", "documented")]
BEGAN_AT = 1000.0


@dataclass(frozen=True)
class Recording:
    """One rank of one case: `case.rank` is its name. `kept` is what make.py kept of it."""

    case: str
    rank: int
    origin: str
    kept: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.case}.{self.rank}"

    def record(self, folder: Path, *, node: str = "n1", requested: bool = False) -> RankRecord:
        """Read it with the agent's code, from a file in `folder`; it ended on `node`, whose clock is right."""
        files = RankFiles(folder / self.name)
        files.directory.mkdir()
        files.output.write_text("\n".join(self.kept["output"]) + "\n")
        ended_at = BEGAN_AT + self.kept["after_s"]
        bare = ExitInfo(
            exited_at=ended_at,
            code=self.kept["code"],
            signal=self.kept["signal"],
            requested=requested,
            launch_error=self.kept["launch_error"],
            result=self.kept.get("result", ""),
        )
        key = RankKey(1, "trainer", 0, 1, self.rank)
        state, end = RankState.GONE, with_evidence(files, bare)
        return RankRecord(key=key, local_rank=self.rank, node=node, state=state, exit=end, ended_at=ended_at)


def recordings() -> Iterator[Recording]:
    """Give every rank of every case."""
    for folder in _FOLDERS:
        for path in sorted(folder.glob("*.json")):
            whole = json.loads(path.read_text())
            for rank, kept in whole["ranks"].items():
                yield Recording(path.stem, int(rank), whole["origin"], kept)


def of_case(case: str) -> list[Recording]:
    """Give the ranks of one case in order."""
    return [each for each in recordings() if each.case == case]
