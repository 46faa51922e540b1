"""How ranks end, what caused it, and what the recovery cost."""

from dataclasses import dataclass
from enum import StrEnum

from dlroverd.model.ids import GangKey, RankKey

PORT_TAKEN = "port_taken"
REBOOTED = "the host was rebooted"
SHUT_DOWN = "the host was shut down"
CONFIRMED_DOWN = "its host was confirmed down"
# How a check's sentence begins if the job asks for more of it than a well node has.
CHECKPOINT_MEMORY = "checkpoint_memory"
LEASE_RAN_OUT = "its lease ran out: the daemon had not heard of its node"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """What a rank said of its own failure.

    `source` is "error_file" (torchelastic's, written under @record), "traceback" or "terminate" (Python's and C++'s,
    read from its output). `text` is the tail of it, at most 4 KiB, with what it was raised from.
    """

    source: str
    type: str
    message: str
    file: str = ""
    line: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitInfo:
    """How a rank's main process ended: one of `code` and `signal` is not None, unless it could not be learnt.

    `requested`: we had sent it a signal before it ended. `launch_error`: it never ran, and why
    (PORT_TAKEN, or a sentence). `lost`: how it ended could not be learnt, and why ("the host was rebooted"); or its
    host took it along when it went down (SHUT_DOWN), or it ended with its lease (LEASE_RAN_OUT).
    `step` is the last training step seen of it, -1 if none. `output_tail` is its last lines, at most 2 KiB.
    `result` is systemd's word for the end of the unit ("oom-kill", "signal" ...), "" where there is no unit.
    """

    exited_at: float
    code: int | None = None
    signal: int | None = None
    requested: bool = False
    launch_error: str = ""
    lost: str = ""
    step: int = -1
    error: ErrorReport | None = None
    output_tail: str = ""
    result: str = ""


class CauseKind(StrEnum):
    """What kind of thing ended a world. The class decides whose budget pays and what follows.

    DEVICE_LOST is the agent's finding; DEVICE_ERROR is what a rank was told by its device or driver; DEVICE_CRASH what
    either its code or its device did. HOST_LIMIT: open files, processes or shared memory ran out.
    """

    LAUNCH = "launch"
    PORT_TAKEN = "port_taken"
    MISSING_SCRIPT = "missing_script"
    SYNTAX_ERROR = "syntax_error"
    IMPORT_ERROR = "import_error"
    EXCEPTION = "exception"
    SIGNAL = "signal"
    EXIT_CODE = "exit_code"
    PEER_LOST = "peer_lost"
    NODE_LOST = "node_lost"
    VANISHED = "vanished"
    START_TIMEOUT = "start_timeout"
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_LOST = "device_lost"
    NO_PATH = "no_path"
    MISMATCH = "mismatch"
    CHECK_FAILED = "check_failed"
    STOPPED = "stopped"
    REQUESTED = "requested"
    PREEMPTED = "preempted"
    HANG = "hang"
    DISK_FULL = "disk_full"
    DEVICE_ERROR = "device_error"
    DEVICE_CRASH = "device_crash"
    DEVICE_OUT_OF_MEMORY = "device_out_of_memory"
    NETWORK = "network"
    HOST_LIMIT = "host_limit"
    PERMISSION = "permission"
    BAD_ARGUMENTS = "bad_arguments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One classified end. `rule` names the row of the table that matched; `sentence` is for people.

    `remedy` is what `sentence` ends with, if it says what can be done; `device` the uuid of the one the rank used.
    """

    kind: CauseKind
    rule: str
    sentence: str
    rank: RankKey | None = None
    node: str = ""
    exit: ExitInfo | None = None
    remedy: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """From the first sign of a fault to the first step after it. All times are absolute seconds, 0 if not seen.

    `cause` and `victims` are provisional until `decided_at`: attribution happens when the stop has ended.
    `reached` is the last step seen of the world that failed, `step` the first one of the next; -1 and 0 if none.
    `stepped_at` stays 0 while no progress was seen, `caught_up_at` until the new world is where the old one was;
    `closed_at` ends the incident either way. `nodes` is how many its gang had. `drill` says who had the fault made,
    `domain` what the lost nodes have in common ("switch s3"); "" if nobody did, or nothing.
    """

    id: int
    gang: GangKey
    round: int
    began_at: float
    detected_at: float
    stopped_at: float = 0.0
    placed_at: float = 0.0
    started_at: float = 0.0
    stepped_at: float = 0.0
    closed_at: float = 0.0
    step: int = 0
    reached: int = -1
    cause: Cause | None = None
    victims: tuple[Cause, ...] = ()
    action: str = ""
    drill: str = ""
    nodes: int = 0
    decided_at: float = 0.0
    caught_up_at: float = 0.0
    domain: str = ""
