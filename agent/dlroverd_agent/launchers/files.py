"""The files of one rank: where they are, and the record of how it goes."""

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd_agent.launchers import shim

_UNIT = re.compile(r"j(\d+)-(.+)-(\d+)-r(\d+)-rank(\d+)", re.ASCII)


def key_of(unit: str) -> RankKey | None:
    """Undo `RankKey.unit`; None for a name that is not one."""
    found = _UNIT.fullmatch(unit)
    if found is None:
        return None
    job, role, gang, round_, rank = found.groups()
    return RankKey(int(job), role, int(gang), int(round_), int(rank))


def boot_id() -> str:
    """Name this boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


@dataclass(frozen=True, slots=True)
class RankFiles:
    """Paths within a rank's directory, whose existence means that the rank was started once.

    `forgotten` marks that only the output is of interest any more.
    """

    directory: Path

    @property
    def order(self) -> Path:
        """What to run, with the environment: removed by the shim as soon as it has read it."""
        return self.directory / shim.ORDER

    @property
    def record(self) -> Path:
        """The `Record`, rewritten at each change."""
        return self.directory / shim.RECORD

    @property
    def output(self) -> Path:
        """The rank's stdout and stderr."""
        return self.directory / shim.OUTPUT

    @property
    def error(self) -> Path:
        """What torchelastic's @record writes (TORCHELASTIC_ERROR_FILE); its folder is the rank's user's."""
        return self.directory / "errors" / "error.json"

    @property
    def progress(self) -> Path:
        """The page where the rank leaves its newest step (DLROVERD_PROGRESS_FILE), in the folder that it may write."""
        return self.error.with_name("progress")

    @property
    def control(self) -> Path:
        """The shim's control socket."""
        return self.directory / "control.sock"

    @property
    def shim_log(self) -> Path:
        """The shim's own stderr, empty unless it broke."""
        return self.directory / "shim.log"

    @property
    def forgotten(self) -> Path:
        """The mark left by `forget`."""
        return self.directory / "forgotten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a rank goes, as its shim writes and sends it. Times are the wall clock, seconds; 0 not yet.

    `launch_error`, `lost` and `requested` are as in `ExitInfo`. `unkillable` names processes of the tree
    that outlived KILL for seconds, as `pid (name) state`.
    """

    state: RankState
    boot_id: str
    pid: int = 0
    started_at: float = 0.0
    exited_at: float = 0.0
    code: int | None = None
    signal: int | None = None
    requested: bool = False
    launch_error: str = ""
    lost: str = ""
    unkillable: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> "Record":
        """Read a record, of an older or newer shim too; ValueError if it is damaged."""
        values = json.loads(text)
        try:
            known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
            known |= {"state": RankState(known["state"]), "unkillable": tuple(known["unkillable"])}
            return cls(**known)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a rank's record: {error}") from error

    def write(self, path: Path) -> None:
        """Put it in place whole; OSError if the disk does not take it."""
        shim.replace_file(os.fspath(path), json.dumps(asdict(self)).encode())
