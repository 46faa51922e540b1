"""Real ends of real ranks, and what they are called: recorded/ is made by record.py, with torch, on this machine."""

import json
from pathlib import Path

import pytest
from dlroverd_agent.evidence import with_evidence
from dlroverd_agent.launchers.files import RankFiles

from dlroverd.core.classify import attribute, classify
from dlroverd.core.records import RankRecord
from dlroverd.model.fault import SHUT_DOWN, Cause, CauseKind, ErrorReport, ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState

RECORDED = Path(__file__).parent / "recorded"

EXPECTED = {
    "all_reduce.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "all_reduce.rank1": ("signal", CauseKind.SIGNAL),
    "barrier.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "barrier.rank1": ("signal", CauseKind.SIGNAL),
    "broadcast.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "broadcast.rank1": ("signal", CauseKind.SIGNAL),
    "monitored_barrier.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "monitored_barrier.rank1": ("signal", CauseKind.SIGNAL),
    "ddp_backward.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "ddp_backward.rank1": ("signal", CauseKind.SIGNAL),
    "recv_timeout.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "recv_timeout.rank1": ("peer.lost", CauseKind.PEER_LOST),
    "peer_absent.rank0": ("peer.lost", CauseKind.PEER_LOST),
    "store_refused.rank1": ("peer.lost", CauseKind.PEER_LOST),
    "port_taken.rank0": ("launch.port_taken", CauseKind.PORT_TAKEN),
    "import_error.rank0": ("python.import", CauseKind.IMPORT_ERROR),
    "module_not_found.rank0": ("python.import", CauseKind.IMPORT_ERROR),
    "syntax_error.rank0": ("python.syntax", CauseKind.SYNTAX_ERROR),
    "exception.rank0": ("python.exception", CauseKind.EXCEPTION),
    "exit_code.rank0": ("exit.code", CauseKind.EXIT_CODE),
    "segv.rank0": ("signal", CauseKind.SIGNAL),
    "abort.rank0": ("signal", CauseKind.SIGNAL),
}


def ended(case: str, folder: Path, **facts: object) -> RankRecord:
    """Give the rank as the daemon would know it: the agent's own reading of what the real one left."""
    kept = json.loads((RECORDED / f"{case}.json").read_text())
    files = RankFiles(folder / case)
    files.directory.mkdir()
    files.output.write_text("\n".join(kept["output"]) + "\n")
    bare = ExitInfo(exited_at=100.0, code=kept["code"], signal=kept["signal"], **facts)  # type: ignore[arg-type]
    return rank(int(case[-1]), with_evidence(files, bare))


def rank(number: int, exit_: ExitInfo) -> RankRecord:
    key = RankKey(1, "trainer", 0, 1, number)
    return RankRecord(key=key, local_rank=number, node="n1", state=RankState.GONE, exit=exit_)


def cause_of(record: RankRecord) -> Cause:
    assert record.exit is not None
    return classify(record, record.exit)


def raised(kind: str, message: str) -> ExitInfo:
    return ExitInfo(exited_at=1.0, code=1, error=ErrorReport(source="traceback", type=kind, message=message))


def test_every_recording_is_expected() -> None:
    assert sorted(path.stem for path in RECORDED.glob("*.json")) == sorted(EXPECTED)


@pytest.mark.parametrize("case", sorted(EXPECTED))
def test_real_end_is_named(case: str, tmp_path: Path) -> None:
    cause = cause_of(ended(case, tmp_path))
    assert (cause.rule, cause.kind) == EXPECTED[case]


@pytest.mark.parametrize("case", ["all_reduce", "barrier", "broadcast", "ddp_backward", "monitored_barrier"])
def test_killed_rank_is_the_cause_and_the_other_its_victim(case: str, tmp_path: Path) -> None:
    victim, killed = ended(f"{case}.rank0", tmp_path), ended(f"{case}.rank1", tmp_path)
    cause, victims = attribute((victim, killed))
    assert cause is not None
    assert cause.rank == killed.key
    assert "SIGKILL" in cause.sentence
    assert [each.rank for each in victims] == [victim.key]


def test_a_survivor_that_said_why_before_it_was_stopped_is_a_victim(tmp_path: Path) -> None:
    assert cause_of(ended("all_reduce.rank0", tmp_path, requested=True)).kind is CauseKind.PEER_LOST


def test_what_was_stopped_is_never_the_cause() -> None:
    stopped = ExitInfo(exited_at=1.0, signal=15, requested=True)
    assert attribute((rank(0, stopped), rank(1, stopped))) == (None, ())
    assert attribute((rank(0, ExitInfo(exited_at=1.0, code=0)),)) == (None, ())


def test_the_first_own_fault_in_time_is_the_cause() -> None:
    late, early = ExitInfo(exited_at=9.0, signal=11), ExitInfo(exited_at=8.0, code=3)
    cause, victims = attribute((rank(0, late), rank(1, early)))
    assert cause is not None
    assert (cause.kind, [each.kind for each in victims]) == (CauseKind.EXIT_CODE, [CauseKind.SIGNAL])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ConnectionRefusedError", "[Errno 111] Connection refused"),
        ("BrokenPipeError", "[Errno 32] Broken pipe"),
        ("OSError", "[Errno 98] Address already in use"),
        ("requests.exceptions.ConnectionError", "Connection reset by peer"),
    ],
)
def test_the_scripts_own_sockets_are_its_own_matter(kind: str, message: str) -> None:
    assert cause_of(rank(0, raised(kind, message))).kind is CauseKind.EXCEPTION


def test_who_ends_with_its_host_is_not_to_blame() -> None:
    """Systemd ends all that runs with SIGTERM when a host goes down."""
    taken_along = ExitInfo(exited_at=1.0, signal=15, lost=SHUT_DOWN)
    cause = cause_of(rank(1, taken_along))
    assert (cause.rule, cause.kind) == ("host.shut_down", CauseKind.NODE_LOST)
    assert cause.sentence == "rank 1 on n1 is gone: the host was shut down"
