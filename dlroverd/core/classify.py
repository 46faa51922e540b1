"""What ended a rank, and which rank's end caused the others'.

An ordered table: the first row that matches names the cause, and its name is kept with it. Rows that look
at what the rank itself said come before rows that look at how it was killed, since a survivor that could
say "connection closed by peer" before it was stopped is a victim, whatever signal ended it.
"""

import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dlroverd.core.records import RankRecord
from dlroverd.model.fault import CONFIRMED_DOWN, PORT_TAKEN, REBOOTED, SHUT_DOWN, Cause, CauseKind, ExitInfo

# gloo and the store of c10d, as recorded from torch 2.13 (tests/unit/core/recorded/); NCCL from its source.
_PEER_LOST = re.compile(
    r"Connection closed by peer|Connection reset by peer|Broken pipe|connectFullMesh|Socket closed"
    r"|failed to connect to .* store|DistNetworkError|DistStoreError|ncclRemoteError|ncclInternalError"
    r"|NCCL communicator was aborted|Watchdog caught collective operation timeout"
    r"|remote process exited|Connection refused|Timed out waiting .*ms for recv"
    r"|Application timeout caused pair closure",
    re.IGNORECASE,
)
_PORT_TAKEN = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)
# What torch raises of these. A ConnectionRefusedError or an OSError is about a socket of the script's own.
_OF_TORCH = frozenset({"", "RuntimeError", "DistError", "DistBackendError", "DistNetworkError", "DistStoreError"})
_SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})
_IMPORT = frozenset({"ImportError", "ModuleNotFoundError"})
MISSING_SCRIPT = "MissingScript"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: its name, the kind it stands for, when it matches and what it says."""

    name: str
    kind: CauseKind
    matches: Callable[[ExitInfo], bool]
    says: Callable[[ExitInfo], str]


def _error_type(exit_: ExitInfo) -> str:
    return exit_.error.type.rpartition(".")[2] if exit_.error is not None else ""


def _torch_said(pattern: re.Pattern[str], exit_: ExitInfo) -> bool:
    error = exit_.error
    if error is None or _error_type(exit_) not in _OF_TORCH:
        return False
    return bool(pattern.search(f"{error.type} {error.message} {error.text}"))


def _error_sentence(exit_: ExitInfo) -> str:
    error = exit_.error
    if error is None:
        return "failed"
    where = f" at {error.file}:{error.line}" if error.file else ""
    message = error.message.strip().splitlines()
    return f"raised {error.type}{where}: {message[0] if message else ''}".rstrip(": ")


def _signal_sentence(exit_: ExitInfo) -> str:
    number = exit_.signal or 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"was killed by {name}" + ("" if exit_.requested else ", which dlroverd did not send")


RULES: tuple[Rule, ...] = (
    Rule(
        "launch.port_taken",
        CauseKind.PORT_TAKEN,
        lambda e: e.launch_error == PORT_TAKEN or _torch_said(_PORT_TAKEN, e),
        lambda e: "found its MASTER_PORT taken",  # noqa: ARG005 - rows share one shape
    ),
    Rule(
        "launch.failed",
        CauseKind.LAUNCH,
        lambda e: bool(e.launch_error),
        lambda e: f"could not be started: {e.launch_error}",
    ),
    Rule(
        "memory.oom",
        CauseKind.OUT_OF_MEMORY,
        lambda e: e.result == "oom-kill",
        lambda e: "ran out of memory: the kernel killed it or a process of its own; give the job more (`memory`)",  # noqa: ARG005 - as above
    ),
    Rule(
        "script.missing",
        CauseKind.MISSING_SCRIPT,
        lambda e: _error_type(e) == MISSING_SCRIPT,
        lambda e: f"has no script to run: {e.error.message if e.error else ''}",
    ),
    Rule("python.syntax", CauseKind.SYNTAX_ERROR, lambda e: _error_type(e) in _SYNTAX, _error_sentence),
    Rule("python.import", CauseKind.IMPORT_ERROR, lambda e: _error_type(e) in _IMPORT, _error_sentence),
    Rule(
        "peer.lost",
        CauseKind.PEER_LOST,
        lambda e: (
            _torch_said(_PEER_LOST, e)
            or (e.error is None and e.signal == signal.SIGABRT and bool(_PEER_LOST.search(e.output_tail)))
        ),
        _error_sentence,
    ),
    Rule("python.exception", CauseKind.EXCEPTION, lambda e: e.error is not None, _error_sentence),
    Rule(
        "stopped",
        CauseKind.STOPPED,
        lambda e: e.requested,
        lambda e: "was stopped by dlroverd",  # noqa: ARG005
    ),
    Rule(
        "host.shut_down",
        CauseKind.NODE_LOST,
        lambda e: e.lost == SHUT_DOWN,
        lambda e: f"is gone: {e.lost}",
    ),
    Rule("signal", CauseKind.SIGNAL, lambda e: e.signal is not None, _signal_sentence),
    Rule(
        "exit.code",
        CauseKind.EXIT_CODE,
        lambda e: e.code is not None,
        lambda e: f"ended with exit code {e.code} and said no more",
    ),
    Rule(
        "host.rebooted",
        CauseKind.NODE_LOST,
        lambda e: e.lost == REBOOTED,
        lambda e: f"is gone: {e.lost}",
    ),
    Rule(
        "host.confirmed_down",
        CauseKind.NODE_LOST,
        lambda e: e.lost.startswith(CONFIRMED_DOWN),
        lambda e: f"is gone: {e.lost}",
    ),
    Rule(
        "vanished",
        CauseKind.VANISHED,
        lambda e: True,  # noqa: ARG005
        lambda e: f"ended, and how is not known: {e.lost or 'its agent no longer lists it'}",
    ),
)

# Own faults first, then lost peers; what we stopped ourselves is never a cause. Within a class the first in time.
_BLAME = {CauseKind.PEER_LOST: 1, CauseKind.STOPPED: 2}
_MOST_VICTIMS = 64


def succeeded(exit_: ExitInfo | None) -> bool:
    """Whether a rank ended as it should."""
    return exit_ is not None and exit_.code == 0


def classify(rank: RankRecord, exit_: ExitInfo) -> Cause:
    """Name what ended `rank` by the first matching row."""
    rule = next(rule for rule in RULES if rule.matches(exit_))
    sentence = f"rank {rank.key.rank} on {rank.node} {rule.says(exit_)}"
    return Cause(kind=rule.kind, rule=rule.name, sentence=sentence, rank=rank.key, node=rank.node, exit=exit_)


def attribute(ranks: Iterable[RankRecord]) -> tuple[Cause | None, tuple[Cause, ...]]:
    """Tell the root cause among the ends of a stopped world's ranks from those that died of it.

    Returns (None, ()) when none failed. At most 64 victims are kept, first ones first.
    """
    causes = [classify(rank, rank.exit) for rank in ranks if rank.exit is not None and not succeeded(rank.exit)]
    causes.sort(key=_blame)
    if not causes or causes[0].kind is CauseKind.STOPPED:
        return None, ()
    victims = [cause for cause in causes[1:] if cause.kind is not CauseKind.STOPPED]
    return causes[0], tuple(victims[:_MOST_VICTIMS])


def _blame(cause: Cause) -> tuple[int, float, int]:
    exited_at = cause.exit.exited_at if cause.exit is not None else 0.0
    rank = cause.rank.rank if cause.rank is not None else 0
    return (_BLAME.get(cause.kind, 0), exited_at, rank)
