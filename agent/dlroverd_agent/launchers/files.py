"""The files of one rank: where they are, and the record of how it goes."""

import json
import os
import re
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeAlias

from dlroverd.model.fault import REBOOTED, ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd_agent.launchers import lease, shim

LauncherKind: TypeAlias = Literal["process", "systemd"]
DIED_STARTING = "the agent died while starting it"
VANISHED = "nothing of it was there any more, and nobody saw its end"
ENDED = (RankState.EXITED, RankState.GONE)

_UNIT = re.compile(r"j(\d+)-(.+)-(\d+)-r(\d+)-rank(\d+)", re.ASCII)


def key_of(unit: str) -> RankKey | None:
    """Undo `RankKey.unit`; None for a name that is not one."""
    found = _UNIT.fullmatch(unit)
    if found is None:
        return None
    job, role, gang, round_, rank = found.groups()
    return RankKey(int(job), role, int(gang), int(round_), int(rank))


def started(root: Path) -> list[tuple[RankKey, "RankFiles"]]:
    """List the ranks started and not forgotten, of which `root` has the directories. Blocking."""
    found = []
    for directory in sorted(root.iterdir()):
        key, files = key_of(directory.name), RankFiles(directory)
        if key is not None and not files.forgotten.exists():
            found.append((key, files))
    return found


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
        """What a shim is to run, with the environment: removed by it as soon as it has read it."""
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
    def output_index(self) -> Path:
        """When what of the output was written; kept as long as that."""
        return self.directory / "output.index"

    @property
    def error(self) -> Path:
        """What torchelastic's @record writes (TORCHELASTIC_ERROR_FILE); its folder is the rank's user's."""
        return self.directory / "errors" / "error.json"

    @property
    def progress(self) -> Path:
        """The page where the rank leaves its newest step (DLROVERD_PROGRESS_FILE), in the folder that it may write."""
        return self.error.with_name("progress")

    @property
    def imports(self) -> Path:
        """What the rank imports, for its spares, as it says itself (dlroverd_train/_spare.py)."""
        return self.error.with_name("imports")

    @property
    def stacks(self) -> Path:
        """Where the rank writes its stack when it is asked to (dlroverd_train/_stacks.py)."""
        return self.error.with_name("stacks")

    @property
    def recorder(self) -> Path:
        """The socket at which the rank says how far it is in its collectives (dlroverd_train/_recorder.py)."""
        return self.error.with_name("recorder")

    @property
    def notice(self) -> Path:
        """Why and by when the rank will be stopped (DLROVERD_NOTICE_FILE); its user may read it, and not replace it."""
        return self.directory / "notice"

    @property
    def saves(self) -> Path:
        """At which steps the rank is to save (DLROVERD_SAVES_FILE), with the same rights."""
        return self.directory / "saves"

    @property
    def control(self) -> Path:
        """The shim's control socket; that by which a unit's first program gets its order."""
        return self.directory / shim.CONTROL

    @property
    def lease(self) -> Path:
        """The socket of the keeper of its lease, if it has one."""
        return self.directory / lease.SOCKET

    @property
    def shim_log(self) -> Path:
        """The shim's own stderr, empty unless it broke."""
        return self.directory / "shim.log"

    @property
    def launch_error(self) -> Path:
        """Why a unit's first program did not become the rank; empty once it did, not there if it never came so far."""
        return self.directory / shim.LAUNCH_ERROR

    @property
    def forgotten(self) -> Path:
        """The mark left by `forget`."""
        return self.directory / "forgotten"

    def forget(self) -> None:
        """Delete all but the output and the mark that the rank was started once."""
        if not self.directory.exists():
            return
        self.forgotten.touch(mode=0o600)  # first: a half-deleted rank must not be reported again
        for path in (
            self.record, self.order, self.control, self.lease, self.shim_log, self.launch_error, self.error,
            self.progress, self.imports, self.stacks, self.recorder, self.notice, self.saves,
        ):  # fmt: skip
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a rank goes, as its shim or the systemd launcher writes it. Times are the wall clock, seconds; 0 not yet.

    `launch_error`, `lost`, `requested` and `result` are as in `ExitInfo`. `uid`: whom it runs as, -1 if not recorded.
    `kill_at`: when TERM turns into KILL, kept where no shim sees to it. `unkillable` names processes of the tree that
    outlived KILL for seconds, as `pid (name) state`.
    """

    state: RankState
    boot_id: str
    launcher: LauncherKind = "process"
    uid: int = -1
    pid: int = 0
    started_at: float = 0.0
    exited_at: float = 0.0
    code: int | None = None
    signal: int | None = None
    requested: bool = False
    launch_error: str = ""
    lost: str = ""
    result: str = ""
    kill_at: float = 0.0
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

    def over(self, *, launch_error: str = "", lost: str = "") -> "Record":
        """Say that a rank is gone, and why there is nothing better known of its end than the record says."""
        if self.exited_at:
            return replace(self, state=RankState.GONE)
        return replace(
            self,
            state=RankState.GONE,
            exited_at=time.time(),
            launch_error=self.launch_error or launch_error,
            lost=self.lost or lost,
        )

    def exit(self) -> ExitInfo | None:
        """How the rank ended, as far as the record goes; None while it has not."""
        if self.state not in ENDED:
            return None
        return ExitInfo(
            exited_at=self.exited_at,
            code=self.code,
            signal=self.signal,
            requested=self.requested,
            launch_error=self.launch_error,
            lost=self.lost,
            result=self.result,
        )


def read_record(files: RankFiles, this_boot: str, *, launcher: LauncherKind) -> Record:
    """Read the record of a rank found on disk; a previous boot took all its processes with it."""
    starting = Record(state=RankState.STARTING, boot_id=this_boot, launcher=launcher)
    try:
        record = Record.parse(files.record.read_bytes())
    except FileNotFoundError:
        return starting.over(launch_error=DIED_STARTING)
    except ValueError as error:
        return replace(starting, lost=f"its record is damaged ({error})")
    if record.boot_id == this_boot:
        return record
    return record.over(lost=REBOOTED)
